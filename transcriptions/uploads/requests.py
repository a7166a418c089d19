"""How a request becomes a recording: by form or raw body, and once for each idempotency key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from accounts.authentication import authenticated_user, request_token
from accounts.models import User
from transcriptions.models import (
    FINISHED,
    IDEMPOTENCY_KEY_LIFETIME,
    UNSUCCESSFUL,
    IdempotencyKey,
    Transcription,
)
from transcriptions.uploads.params import UploadParams
from transcriptions.uploads.service import UNTITLED, UploadRefused, check, create_transcription

PIECE = 256 * 1024  # bytes of a body that are in memory at a time
FORM = "application/x-www-form-urlencoded"  # what no recording fits into, and curl's default
COUNTED_LIFE = timedelta(minutes=15)  # between attempts that a client counts by itself
RAW = ("audio/", "video/", "application/ogg", "application/octet-stream")


def create_from_request(
    request: HttpRequest,
    file: UploadedFile[Any] | None,
    about: UploadParams,
    key: str,
    attempt: int | None = None,
) -> Transcription:
    """The recording that this request brings, or that it has brought before: under the same
    idempotency key, or in an earlier `attempt` of a client that counts them (from 0) and sends no
    key. Raises UploadRefused, TooMany; then nothing is left behind.
    """
    owner, upload = authenticated_user(request), file or _raw_body(request)

    def make() -> Transcription:
        return create_transcription(
            owner, upload, about.language, about.title, request_token(request), sent_at(request)
        )

    if not key and attempt is None:
        return make()
    check(upload, owner)
    fingerprint = _fingerprint(request, upload)
    if not key:
        key = f"attempts of {fingerprint}"
        # Who sends the same recording anew means it; a client that counts does so for minutes, and
        # what has come to nothing since is not what it asks for.
        earlier = IdempotencyKey.objects.filter(owner=owner, key=key)
        gone = Q(transcription=None) | Q(transcription__state__in=UNSUCCESSFUL)
        now = timezone.now()
        if attempt:
            old = Q(created_at__lt=now - COUNTED_LIFE, transcription__state__in=FINISHED)
            earlier.filter(gone | old).delete()
            earlier.update(created_at=now)  # a client may wait long for each of its attempts
        else:
            earlier.delete()
    return _once(owner, key, fingerprint, make)


def sent_at(request: HttpRequest) -> datetime | None:
    """When its first bytes came, if the server tells (see transcodio_site/server.py)."""
    began = getattr(request, "scope", {}).get("transcodio.started_at")
    return None if began is None else datetime.fromtimestamp(began, UTC)


def _once(
    owner: User, key: str, fingerprint: str, make: Callable[[], Transcription]
) -> Transcription:
    """What `make` makes, or has made. Who comes second waits here until the first is done."""
    with transaction.atomic():
        mine = IdempotencyKey.objects.filter(owner=owner, key=key)
        mine.filter(created_at__lt=timezone.now() - IDEMPOTENCY_KEY_LIFETIME).delete()
        row, is_new = mine.get_or_create(
            defaults={"owner": owner, "key": key, "fingerprint": fingerprint}
        )
        if is_new:
            row.transcription = make()
            row.save(update_fields=["transcription"])
    if row.fingerprint != fingerprint:
        message = "This Idempotency-Key was used for another request: send a new one."
        raise UploadRefused(422, "idempotency_key_reused", message)
    if row.transcription is None:
        message = "The recording that this Idempotency-Key made has been deleted: send a new one."
        raise UploadRefused(410, "idempotency_result_gone", message)
    return row.transcription


def _fingerprint(request: HttpRequest, upload: UploadedFile[Any]) -> str:
    """SHA-256 of all that makes a request this one. A form's boundary does not."""
    upload.seek(0)
    content = hashlib.file_digest(upload, "sha256").hexdigest()
    upload.seek(0)
    fields = sorted((*request.GET.lists(), *request.POST.lists()))
    return hashlib.sha256(repr((request.path, fields, upload.name, content)).encode()).hexdigest()


def no_recording() -> UploadRefused:
    """The refusal of a body that says that it is something else, or nothing."""
    return UploadRefused(
        415,
        "unsupported_media_type",
        "Send the recording as the field 'file' of a form, "
        "or as the body with a Content-Type such as audio/mpeg.",
    )


def _raw_body(request: HttpRequest) -> UploadedFile[Any]:
    """The body as a file on disk, never whole in memory. Raises UploadRefused."""
    media_type = (request.content_type or "").lower()
    if media_type == "multipart/form-data" or not (media_type or request.read(1)):
        raise UploadRefused(422, "missing_field", "The field 'file' is missing, or has no name.")
    if not media_type.startswith(RAW):
        raise no_recording()
    upload = TemporaryUploadedFile(UNTITLED, media_type, 0, None)
    request.FILES["file"] = upload  # closed with the request, as the files of a form are
    while piece := request.read(PIECE):
        upload.write(piece)
    upload.size = upload.tell()
    return upload
