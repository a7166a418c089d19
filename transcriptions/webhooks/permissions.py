"""Access to webhooks: a stranger gets 404."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.http import Http404

from transcriptions.permissions import Viewer
from transcriptions.webhooks.models import Delivery, Endpoint


def webhooks_of(user: Viewer) -> QuerySet[Endpoint]:
    """All endpoints of `user`."""
    if not user.is_authenticated:
        return Endpoint.objects.none()
    return Endpoint.objects.filter(owner_id=user.pk)


def webhook_for(user: Viewer, id: int) -> Endpoint:
    """The endpoint with that id, or Http404."""
    found = webhooks_of(user).filter(id=id).first()
    if found is None:
        raise Http404("There is no such webhook.")
    return found


def delivery_for(user: Viewer, endpoint: int, id: uuid.UUID) -> Delivery:
    """One line of the log of an endpoint, or Http404."""
    found = webhook_for(user, endpoint).deliveries.filter(id=id).first()
    if found is None:
        raise Http404("There is no such delivery.")
    return found
