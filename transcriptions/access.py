"""The one door: a recording is fetched by id for a user, and a stranger finds nothing there.

Only this module knows what "mine" means.
"""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import Http404

from transcriptions.models import Transcription, TranscriptionQuerySet

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
