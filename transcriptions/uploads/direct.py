"""Uploads that clients send to the object storage in parts, with signed URLs.

The client never chooses a name, and nothing that it says is believed: the signature of each URL
covers the length of its part, and on completion the storage is asked what has arrived.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.http import Http404, HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import ApiToken, User
from accounts.text import clean_name
from transcriptions.models import DirectUpload, Transcription
from transcriptions.storage.base import MultipartUploads, Part, RecordingStorage, recording_storage
from transcriptions.uploads.params import UploadParams
from transcriptions.uploads.service import (
    UploadRefused,
    admit,
    check_size,
    check_speakers,
    check_task,
    declared_audio,
    insert,
    requested_languages,
    title_of,
    too_many_uploads,
)

log = logging.getLogger(__name__)

PART_BYTES = 8 << 20  # the least that S3 accepts is 5 MiB
MAX_PARTS = 10_000  # of S3
LIFETIME = timedelta(hours=2)  # after the last URL of a part was signed
EXPIRED_PER_RUN = 500


def start(
    owner: User,
    token: ApiToken | None,
    *,
    filename: str,
    size: int,
    params: UploadParams,
    media_type: str = "",
) -> DirectUpload:
    """Begin an upload of `size` bytes. Raises UploadRefused, Throttled, StorageUnavailable."""
    multipart = _multipart()
    check_size(size, owner)
    check_task(params.task)
    declared = declared_audio(filename, media_type)
    language, candidates = requested_languages(params)
    options = replace(params.options_of(owner, candidates), media_type=str(declared or ""))
    check_speakers(options)
    upload = DirectUpload(
        owner=owner,
        token=token,
        title=clean_name(params.title) or title_of(filename),
        requested_language=language,
        priority=params.priority_value,
        stored_options=options.as_json(),
        bytes=size,
        part_bytes=max(PART_BYTES, -(-size // MAX_PARTS)),
        expires_at=timezone.now() + LIFETIME,
    )
    with transaction.atomic():
        upload.save(force_insert=True)
        admit(Transcription(owner=owner, token=token))
        unfinished = DirectUpload.objects.filter(owner=owner, expires_at__gt=timezone.now())
        if unfinished.count() > settings.MAX_UPLOADS_PER_USER:
            raise too_many_uploads(settings.MAX_UPLOADS_PER_USER)
    try:
        upload.storage_id = multipart.start(upload.name)
        upload.save(update_fields=["storage_id"])
    except BaseException:
        upload.delete()
        raise
    return upload


def part_url(upload: DirectUpload, number: int) -> str:
    """A URL for a part, and more time for the upload. Raises Http404, StorageUnavailable."""
    if not 1 <= number <= upload.part_count:
        raise Http404(_("There is no such part."))
    DirectUpload.objects.filter(pk=upload.pk).update(expires_at=timezone.now() + LIFETIME)
    length = upload.length_of(number)
    return _multipart().part_url(upload.name, upload.storage_id, number, length)


def complete(upload: DirectUpload, request: HttpRequest | None = None) -> Transcription:
    """Make a recording of an upload. May be called again until it has returned one. `request` is
    for the audit log.

    Raises UploadRefused (then nothing is left, unless a part is missing), Throttled, Http404,
    StorageUnavailable.
    """
    storage = recording_storage()
    _assemble(upload)
    row = Transcription(
        id=upload.id,
        owner=upload.owner,
        token=upload.token,
        title=upload.title,
        source=upload.name,
        source_bytes=storage.size(upload.name),
        requested_language=upload.requested_language,
        priority=upload.priority,
        stored_options=upload.stored_options,
    )
    try:
        check_size(row.source_bytes, row.owner)
        with transaction.atomic():
            if not _forget(upload):  # another request has completed or cancelled it
                return _completed(upload)
            insert(row, sent_at=upload.created_at, request=request)
    except UploadRefused:
        abort(upload)
        raise
    return row


def abort(upload: DirectUpload) -> None:
    """Cancel an upload and delete what has arrived. Raises StorageUnavailable."""
    with transaction.atomic():
        if _forget(upload):
            _delete_files(recording_storage(), upload)


def abort_expired() -> None:
    """Cancel uploads that were given up."""
    expired = DirectUpload.objects.filter(expires_at__lt=timezone.now()).order_by("expires_at")
    for upload in expired[:EXPIRED_PER_RUN]:
        abort(upload)


def _multipart() -> MultipartUploads:
    storage = recording_storage()
    if storage.multipart is None or not storage.direct:
        message = _(
            "This server has no object storage for direct uploads. "
            "Send recordings to POST /api/transcriptions."
        )
        raise UploadRefused(409, "not_offered", message)
    return storage.multipart


def _assemble(upload: DirectUpload) -> None:
    """Let the storage make one file of the parts, unless an earlier request has done so."""
    multipart = _multipart()
    try:
        parts = multipart.parts(upload.name, upload.storage_id)
        _check_parts(upload, parts)
        multipart.complete(upload.name, upload.storage_id, parts)
    except FileNotFoundError:
        if not recording_storage().exists(upload.name):
            raise Http404(_("There is no such upload.")) from None


def _check_parts(upload: DirectUpload, parts: list[Part]) -> None:
    lengths = {part.number: part.bytes for part in parts}
    numbers = range(1, upload.part_count + 1)
    missing = [number for number in numbers if lengths.get(number) != upload.length_of(number)]
    if missing or len(lengths) != upload.part_count:
        message = _("Part %(number)s has not arrived. Send the missing parts, then complete it.")
        number = missing[0] if missing else upload.part_count + 1
        raise UploadRefused(409, "upload_incomplete", message % {"number": number})


def _forget(upload: DirectUpload) -> bool:
    """Delete the row. False if a concurrent request was faster; it has committed by then."""
    deleted, _by_model = DirectUpload.objects.filter(pk=upload.pk).delete()
    return bool(deleted)


def _completed(upload: DirectUpload) -> Transcription:
    row = Transcription.objects.filter(pk=upload.pk, owner=upload.owner).first()
    if row is None:
        raise Http404(_("There is no such upload."))
    return row


def _delete_files(storage: RecordingStorage, upload: DirectUpload) -> None:
    if storage.multipart and upload.storage_id:
        storage.multipart.abort(upload.name, upload.storage_id)
    storage.delete(upload.name)  # it may be assembled already
