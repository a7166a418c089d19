"""Creation of a recording from a request: forms, raw bodies and idempotency keys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.authentication import authenticated_user, request_token
from accounts.models import User
from transcriptions.models import (
    FINISHED,
    IDEMPOTENCY_KEY_LIFETIME,
    UNSUCCESSFUL,
    IdempotencyKey,
    SpeakerReference,
    Transcription,
)
from transcriptions.uploads.params import UploadParams
from transcriptions.uploads.service import (
    UNTITLED,
    UploadRefused,
    check,
    delete_file,
    file_deleted_on_error,
    insert,
    max_megabytes,
    store_file,
    too_large,
)
from transcriptions.usage import quotas

CHUNK_BYTES = 256 * 1024  # of a raw body in memory at a time
FORM = "application/x-www-form-urlencoded"  # curl's default, which cannot carry a recording
# Of bodies that are no recording. With any other type, or without one, the content decides.
OTHER_MEDIA_TYPES = (FORM, "multipart/", "text/", "application/json", "application/xml")
FORM_OVERHEAD_BYTES = 1 << 20  # that multipart may add to the file
RETRY_WINDOW = timedelta(minutes=15)  # between two attempts of a client that counts its retries


def create_from_request(
    request: HttpRequest,
    file: UploadedFile[Any] | None,
    params: UploadParams,
    key: str,
    retry_count: int | None = None,
    references: Sequence[SpeakerReference] = (),
) -> Transcription:
    """Create a recording, or return the one that an earlier attempt of this request has created.
    `references` are stored with a new one.

    Attempts have the same idempotency key or, if the client sends a retry count (from 0) instead,
    the same content. Raises UploadRefused, Throttled; then neither row nor file is left.
    """
    _check_quotas(request)
    owner, upload = authenticated_user(request), file or _raw_body(request)
    check(upload, owner)
    fingerprint = _fingerprint(request, upload) if key or retry_count is not None else ""
    if fingerprint and not key:
        key = f"attempts of {fingerprint}"
        _delete_implicit_key(owner, key, retry_count or 0)
    if key and (earlier := unexpired(owner, key).first()):
        return recording_of(earlier, fingerprint)
    row = store_file(owner, upload, params, request_token(request))
    with file_deleted_on_error(row):
        if not key:
            insert(row, sent_at(request), references, request)
            return row
        created = insert_once(row, key, fingerprint, sent_at(request), references, request)
    if created.id != row.id:  # by a concurrent request with the same key
        delete_file(row)
    return created


def check_before_body(request: HttpRequest, body_bytes: int) -> int:
    """Check what is known from the headers of an authenticated upload whose body has at least
    `body_bytes`. Return how many megabytes the file may have.

    Raises UploadRefused, Throttled.
    """
    owner = authenticated_user(request)
    megabytes = max_megabytes(owner)
    if body_bytes > max_body_bytes(megabytes):
        raise too_large(megabytes)
    _check_quotas(request)
    return megabytes


def _check_quotas(request: HttpRequest) -> None:
    """Refuse an upload as early as possible. Raises Throttled."""
    if not _may_be_retry(request):  # it may get a recording that was already accepted
        quotas.check_before_upload(authenticated_user(request), request_token(request))


def max_body_bytes(megabytes: int) -> int:
    """The size of a body with a file of this size."""
    return megabytes * 1024 * 1024 + FORM_OVERHEAD_BYTES


def _may_be_retry(request: HttpRequest) -> bool:
    if key := request.headers.get("Idempotency-Key"):
        return IdempotencyKey.objects.filter(owner=authenticated_user(request), key=key).exists()
    return request.headers.get("X-Stainless-Retry-Count", "0") != "0"


def sent_at(request: HttpRequest) -> datetime | None:
    """When the request started to arrive; None if unknown (see transcodio_site/http_request.py)."""
    started_at = getattr(request, "scope", {}).get("transcodio.started_at")
    return None if started_at is None else datetime.fromtimestamp(started_at, UTC)


def _delete_implicit_key(owner: User, key: str, retry_count: int) -> None:
    """Delete the implicit key if this request should create a new recording.

    A first attempt (0) always should: the user uploads the same file again. A retry should if the
    earlier recording was deleted, failed or cancelled, or if it is finished and the last attempt
    was longer ago than RETRY_WINDOW.
    """
    earlier = IdempotencyKey.objects.filter(owner=owner, key=key)
    if retry_count == 0:
        earlier.delete()
        return
    now = timezone.now()
    unsuccessful = Q(transcription=None) | Q(transcription__state__in=UNSUCCESSFUL)
    old = Q(created_at__lt=now - RETRY_WINDOW, transcription__state__in=FINISHED)
    earlier.filter(unsuccessful | old).delete()
    earlier.update(created_at=now)  # restart the window: each attempt may take long


def unexpired(owner: User, key: str) -> QuerySet[IdempotencyKey]:
    """The idempotency key, if a request with it was sent lately."""
    oldest = timezone.now() - IDEMPOTENCY_KEY_LIFETIME
    return IdempotencyKey.objects.filter(owner=owner, key=key, created_at__gte=oldest)


def insert_once(
    row: Transcription,
    key: str,
    fingerprint: str,
    sent_at: datetime | None,
    references: Sequence[SpeakerReference] = (),
    request: HttpRequest | None = None,
) -> Transcription:
    """Add the row, unless there is one with this key: then return that. A concurrent second call
    waits for the first one's transaction. Raises UploadRefused, Throttled."""
    with transaction.atomic():
        keys = IdempotencyKey.objects.filter(owner=row.owner, key=key)
        keys.exclude(pk__in=unexpired(row.owner, key)).delete()
        stored, is_new = keys.get_or_create(
            defaults={"owner": row.owner, "key": key, "fingerprint": fingerprint}
        )
        if is_new:
            insert(row, sent_at, references, request)
            stored.transcription = row
            stored.save(update_fields=["transcription"])
    return recording_of(stored, fingerprint)


def recording_of(key: IdempotencyKey, fingerprint: str) -> Transcription:
    """The recording that a request with this key has created. Raises UploadRefused."""
    if key.fingerprint != fingerprint:
        message = _("This Idempotency-Key was used for another request. Use a new key.")
        raise UploadRefused(422, "idempotency_key_reused", message)
    if key.transcription is None:
        message = _(
            "The recording created with this Idempotency-Key has been deleted. Use a new key."
        )
        raise UploadRefused(410, "idempotency_result_gone", message)
    return key.transcription


def _fingerprint(request: HttpRequest, upload: UploadedFile[Any]) -> str:
    """SHA-256 of path, fields, file name and content; the boundary of a form is ignored."""
    upload.seek(0)
    content = hashlib.file_digest(upload, "sha256").hexdigest()
    upload.seek(0)
    fields = sorted((*request.GET.lists(), *request.POST.lists()))
    return hashlib.sha256(repr((request.path, fields, upload.name, content)).encode()).hexdigest()


def no_recording() -> UploadRefused:
    """The error for a body of a type that is no recording."""
    return UploadRefused(
        415,
        "unsupported_media_type",
        _(
            "Send the recording as the field 'file' of a form, "
            "or as the body with a Content-Type such as audio/mpeg or application/octet-stream."
        ),
    )


def _raw_body(request: HttpRequest) -> UploadedFile[Any]:
    """The body as a file on disk, never whole in memory. Raises UploadRefused."""
    media_type = (request.content_type or "").lower()
    chunk = b"" if media_type == "multipart/form-data" else request.read(CHUNK_BYTES)
    if not (chunk or media_type) or media_type == "multipart/form-data":
        message = _("The field 'file' is missing or has no file name.")
        raise UploadRefused(422, "missing_field", message)
    if media_type.startswith(OTHER_MEDIA_TYPES):
        raise no_recording()
    header = request.headers.get("Content-Type", "")
    upload = TemporaryUploadedFile(UNTITLED, header, 0, None)
    request.FILES["file"] = upload  # closed with the request, like the files of a form
    while chunk:
        upload.write(chunk)
        chunk = request.read(CHUNK_BYTES)
    upload.size = upload.tell()
    return upload
