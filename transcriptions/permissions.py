"""Access to recordings: every row that is fetched by id is fetched for a user.

A stranger gets 404. Only this module knows which recordings a user may see.
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
