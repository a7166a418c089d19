"""The one door: what is fetched by id is fetched for a user, and a stranger finds nothing there.

Only this module knows what "mine" means.
"""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet
from django.http import Http404

from transcriptions.models import Transcription, TranscriptionQuerySet
from transcriptions.webhooks.models import Delivery, Endpoint

Viewer = AbstractBaseUser | AnonymousUser


def visible_to(user: Viewer) -> TranscriptionQuerySet:
    """All recordings that `user` may see."""
    if not user.is_authenticated:
        return Transcription.objects.none()
    return Transcription.objects.filter(owner_id=user.pk).defer("search")


def transcription_for(user: Viewer, id: uuid.UUID) -> Transcription:
    """The recording with that id, or Http404 if it does not exist or is not theirs."""
    found = visible_to(user).filter(id=id).first()
    if found is None:
        raise Http404("There is no such transcription.")
    return found


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
