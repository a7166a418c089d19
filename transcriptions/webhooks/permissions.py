"""Access to webhooks: anyone but the owner gets 404."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

from transcriptions.permissions import Viewer
from transcriptions.webhooks.models import Delivery, Endpoint


def webhooks_of(user: Viewer) -> QuerySet[Endpoint]:
    """All endpoints of `user`."""
    if not user.is_authenticated:
        return Endpoint.objects.none()
    return Endpoint.objects.filter(owner_id=user.pk)


def webhook_for(user: Viewer, endpoint_id: int) -> Endpoint:
    """The endpoint of `user` with that id. Raises Http404."""
    endpoint = webhooks_of(user).filter(id=endpoint_id).first()
    if endpoint is None:
        raise Http404(_("Webhook not found."))
    return endpoint


def delivery_for(user: Viewer, endpoint_id: int, delivery_id: uuid.UUID) -> Delivery:
    """The delivery with that id to an endpoint of `user`. Raises Http404."""
    delivery = webhook_for(user, endpoint_id).deliveries.filter(id=delivery_id).first()
    if delivery is None:
        raise Http404(_("Delivery not found."))
    return delivery
