"""Access to recordings: every row that is fetched by id is fetched for a user.

Another user's recording is a 404. Only this module knows which recordings a user may see.
"""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

from transcriptions.models import (
    Annotation,
    DirectUpload,
    LiveSession,
    SubtitleProfile,
    Transcription,
    TranscriptionQuerySet,
    Voice,
    VoiceQuerySet,
)

Viewer = AbstractBaseUser | AnonymousUser


def visible_to(user: Viewer) -> TranscriptionQuerySet:
    """All recordings that `user` may see."""
    if not user.is_authenticated:
        return Transcription.objects.none()
    return Transcription.objects.filter(owner_id=user.pk)


def transcription_for(user: Viewer, transcription_id: uuid.UUID) -> Transcription:
    """The recording with that id. Raises Http404 if it does not exist or `user` may not see it."""
    row = visible_to(user).filter(id=transcription_id).first()
    if row is None:
        raise Http404(_("There is no such transcription."))
    return row


def annotation_for(user: Viewer, transcription_id: uuid.UUID, annotation_id: int) -> Annotation:
    """The annotation of this recording with this id. Raises Http404."""
    row = transcription_for(user, transcription_id)
    annotation = row.notes.filter(id=annotation_id).first()
    if annotation is None:
        raise Http404(_("There is no such note."))
    return annotation


def live_session_of(row: Transcription) -> LiveSession:
    """The session in which this recording was or is made. Raises Http404 if it was uploaded."""
    session = LiveSession.objects.select_related("transcription").filter(pk=row.pk).first()
    if session is None:
        raise Http404(_("This recording is not live."))
    return session


def direct_upload_for(user: Viewer, upload_id: uuid.UUID) -> DirectUpload:
    """The unfinished upload with that id. Raises Http404 if it does not exist or `user` may not use
    it."""
    upload = DirectUpload.objects.filter(id=upload_id, owner_id=user.pk).first()
    if upload is None:
        raise Http404(_("There is no such upload: it has expired, or was completed or cancelled."))
    return upload


def voices_of(user: Viewer) -> VoiceQuerySet:
    """The voices that `user` has kept, by name."""
    return Voice.objects.filter(owner_id=user.pk)


def voice_for(user: Viewer, voice_id: int) -> Voice:
    """The voice of `user` with that id. Raises Http404."""
    voice = voices_of(user).filter(id=voice_id).first()
    if voice is None:
        raise Http404(_("There is no such voice."))
    return voice


def subtitle_profiles_of(user: Viewer) -> QuerySet[SubtitleProfile]:
    """The profiles that `user` has defined, by name."""
    return SubtitleProfile.objects.filter(owner_id=user.pk)


def subtitle_profile_for(user: Viewer, profile_id: int) -> SubtitleProfile:
    """The profile of `user` with that id. Raises Http404."""
    profile = subtitle_profiles_of(user).filter(id=profile_id).first()
    if profile is None:
        raise Http404(_("There is no such profile."))
    return profile
