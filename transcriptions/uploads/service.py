"""Validation of an upload while the client waits, and creation of its recording.

Size and format are checked here; the worker decodes the file.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.audit_log import record_event
from accounts.models import Action, ApiToken, User
from accounts.rate_limits import Throttled
from accounts.text import clean_name
from gpu.engine import TRANSLATING_ENGINES
from gpu.languages import language_code
from gpu.types import UnsupportedTask
from transcriptions import queue, raw_audio
from transcriptions.exceptions import (
    DATABASE_AWAY,
    DISK_FULL_MESSAGE,
    StorageUnavailable,
    UnsupportedFormat,
)
from transcriptions.models import (
    Options,
    Phase,
    SpeakerReference,
    Transcription,
    record_step,
)
from transcriptions.processing import tasks
from transcriptions.processing.media.probing import probe
from transcriptions.processing.turns import assign_virtual_start
from transcriptions.raw_audio import RawAudio
from transcriptions.storage.base import recording_storage
from transcriptions.uploads.params import UploadParams
from transcriptions.usage import quotas

log = logging.getLogger(__name__)

UNTITLED = "Untitled recording"
TOO_MANY_UPLOADS_RETRY_S = 10


class UploadRefused(Exception):
    """The upload cannot be accepted. `str()` is a message for the owner; `status` is the HTTP
    status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class TooManyUploads(Throttled):
    """The account or the address has as many uploads under way as it may have."""

    code = "too_many_uploads"


def too_large(megabytes: int | None = None) -> UploadRefused:
    """The error for a file over `megabytes`, or over MAX_FILE_SIZE_MB."""
    message = _(
        "The file is larger than %(megabytes)s MB. "
        "Compress it (MP3 or Opus at 64 kbit/s is enough for speech) or split it."
    ) % {"megabytes": megabytes or settings.MAX_FILE_SIZE_MB}
    return UploadRefused(413, "file_too_large", message)


def too_slow() -> UploadRefused:
    """The error for a body that arrives too slowly, or no longer."""
    message = _("The upload is too slow. Check your connection and try again.")
    return UploadRefused(408, "too_slow", message)


def disk_full() -> UploadRefused:
    """The error for a file that does not fit on the disk."""
    return UploadRefused(507, "disk_full", str(DISK_FULL_MESSAGE))


def storage_full(owner: User) -> UploadRefused:
    """The error for an upload that does not fit into the storage of the owner's plan."""
    plan = owner.effective_plan
    message = _(
        "Your plan (%(plan)s) stores up to %(megabytes)s MB, and this file does not fit. "
        "Delete recordings that you no longer need, then upload it again."
    ) % {"plan": plan.name, "megabytes": plan.max_storage_mb}
    return UploadRefused(413, "storage_full", message)


def no_account() -> UploadRefused:
    """The error for an upload to an account that was deleted or deactivated meanwhile."""
    message = _("This account has been deleted or deactivated. The recording was not stored.")
    return UploadRefused(401, "not_authenticated", message)


def too_many_uploads(limit: int) -> TooManyUploads:
    """The error for an upload while as many are under way as there may be."""
    message = _("%(limit)s uploads are in progress. Try again when one of them has finished.")
    return TooManyUploads(message % {"limit": limit}, TOO_MANY_UPLOADS_RETRY_S)


def create_transcription(
    owner: User,
    upload: UploadedFile[Any],
    language: str = "",
    title: str = "",
    token: ApiToken | None = None,
    sent_at: datetime | None = None,
) -> Transcription:
    """Check, store and queue an upload. `sent_at` is when its first bytes arrived.

    Raises UploadRefused, or Throttled when a quota of the account or the token is used up; then
    neither row nor file is left.
    """
    check(upload, owner)
    row = store_file(owner, upload, UploadParams(language=language, title=title), token)
    with file_deleted_on_error(row):
        insert(row, sent_at)
    return row


def store_file(
    owner: User, upload: UploadedFile[Any], params: UploadParams, token: ApiToken | None
) -> Transcription:
    """A row for an upload that has passed `check`: its file is in the storage, but the row is not
    in the database. Raises UploadRefused.

    To be called outside of a transaction, which would last as long as a remote storage needs.
    """
    check_task(params.task)
    declared = _declared_audio(upload)
    language, candidates = requested_languages(params)
    options = replace(params.options_of(owner, candidates), media_type=str(declared or ""))
    check_speakers(options)
    row = Transcription(
        owner=owner,
        token=token,
        title=clean_name(params.title) or title_of(upload.name or ""),
        source_bytes=upload.size or 0,
        requested_language=language,
        priority=params.priority_value,
        stored_options=options.as_json(),
    )
    if recording_storage().multipart and not connection.in_atomic_block:
        connection.close()  # others need it while the file is sent
    row.source.save("", upload, save=False)  # a file on disk is moved to a local storage
    return row


@contextmanager
def file_deleted_on_error(row: Transcription) -> Iterator[None]:
    """Delete the file of a row again if the body, which adds the row, raises."""
    try:
        yield
    except DATABASE_AWAY:
        raise  # it may be committed although no answer came; else its file is orphaned
    except BaseException:
        delete_file(row)
        raise


def delete_file(row: Transcription) -> None:
    """Delete the file of a row that is not in the database. If the storage is down, it is found
    later as an orphaned file."""
    with suppress(StorageUnavailable):
        row.source.storage.delete(row.source.name or "")


def insert(
    row: Transcription,
    sent_at: datetime | None,
    references: Sequence[SpeakerReference] = (),
    request: HttpRequest | None = None,
) -> None:
    """Add a row whose file is in the storage, with `references` of its speakers, and enqueue it
    after the commit. `request` is for the audit log.

    Raises UploadRefused, Throttled.
    """
    row.request_id = queue.current_request_id()
    with transaction.atomic():
        row.save(force_insert=True)
        for reference in references:
            reference.transcription = row
            reference.save()
        if sent_at:
            record_step(row, Phase.UPLOAD, at=sent_at)
        record_step(row, Phase.QUEUE)
        admit(row)  # late, because it locks the account
        assign_virtual_start(row)
        record_event(request, Action.UPLOADED, user_id=row.owner_id, recording=row.id)
        transaction.on_commit(lambda: _enqueue(row))


def admit(row: Transcription) -> None:
    """Check all quotas for a new recording, and that its account was not deleted meanwhile. Must be
    called in the transaction that adds it, which locks the account until it ends.

    Raises UploadRefused, Throttled.
    """
    try:
        quotas.admit(row)
    except User.DoesNotExist:
        raise no_account() from None
    if not row.owner.is_active:
        raise no_account()
    if quotas.exceeds_storage(row.owner):
        raise storage_full(row.owner)


def _enqueue(row: Transcription) -> None:
    log.info("%s: uploaded by user %s, %s bytes", row.id, row.owner_id, row.source_bytes)
    queue.enqueue(tasks.preprocess, row.id)


def check(upload: UploadedFile[Any], owner: User) -> None:
    """Check size, then format. Raises UploadRefused."""
    check_size(upload.size or 0, owner)
    try:
        with _path_of(upload) as path:
            probe(path, _declared_audio(upload))
    except UnsupportedFormat as error:
        raise UploadRefused(415, error.code, str(error)) from None


def _declared_audio(upload: UploadedFile[Any]) -> RawAudio | None:
    """What its name and its media type say about content that has no header. Raises
    UploadRefused."""
    extra = (upload.content_type_extra or {}).items()
    parameters = [f"{name}={bytes(value).decode(errors='replace')}" for name, value in extra]
    return declared_audio(upload.name or "", ";".join([upload.content_type or "", *parameters]))


def declared_audio(filename: str, media_type: str) -> RawAudio | None:
    """See `raw_audio.declared`. Raises UploadRefused."""
    try:
        return raw_audio.declared(filename, media_type)
    except ValueError:
        message = _(
            "The media type %(type)s needs the sample rate and the number of channels, such as "
            "audio/L16;rate=16000;channels=1."
        )
        type_excerpt = repr(media_type[:80])
        raise UploadRefused(422, "invalid_media_type", message % {"type": type_excerpt}) from None


def check_size(size: int, owner: User) -> None:
    """Check the bytes of a file. Raises UploadRefused."""
    if not size:
        message = _("The file is empty. Choose a recording with sound.")
        raise UploadRefused(400, "empty_file", message)
    megabytes = max_megabytes(owner)
    if size > megabytes * 1024 * 1024:
        raise too_large(megabytes)


def max_megabytes(owner: User) -> int:
    """The size of the largest file that the account may upload."""
    return quotas.largest_file(owner.effective_plan, settings.MAX_FILE_SIZE_MB)


@contextmanager
def _path_of(upload: UploadedFile[Any]) -> Iterator[Path]:
    """The path of an upload's temporary file; an upload in memory is copied to one."""
    if hasattr(upload, "temporary_file_path"):
        upload.flush()
        yield Path(upload.temporary_file_path())
        return
    with tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as copy:
        for chunk in upload.chunks():
            copy.write(chunk)
        copy.flush()
        upload.seek(0)
        yield Path(copy.name)


def check_language(language: str) -> str:
    """Whisper's code of the language; empty: detect it. Raises UploadRefused."""
    if language.strip().lower() in ("", "auto"):
        return ""
    if (code := language_code(language)) is None:
        message = _(
            "The language %(language)s is unknown. Use a code such as en, de or fr, "
            "or leave it out to detect the language."
        ) % {"language": repr(language[:20])}
        raise UploadRefused(422, "unknown_language", message)
    return code


def requested_languages(params: UploadParams) -> tuple[str, tuple[str, ...]]:
    """Whisper's code of the language, or those that may be detected: empty if all may. A single
    candidate is the language. Raises UploadRefused."""
    if language := check_language(params.language):
        return language, ()
    codes = tuple(dict.fromkeys(check_language(each) for each in params.languages))
    if len(codes) == 1:
        return codes[0], ()
    return "", () if "" in codes else codes  # `auto` is any language


def check_task(task: str) -> None:
    """Check that the speech engine can do it. Raises UploadRefused."""
    if task == "translate" and settings.STT_ENGINE not in TRANSLATING_ENGINES:
        message = _(
            "The speech engine of this server cannot translate. Request a transcription instead."
        )
        raise UploadRefused(422, UnsupportedTask.code, message)


def check_speakers(options: Options) -> None:
    """Check that there is a number of speakers that is asked for. Raises UploadRefused."""
    least, most = options.min_speakers, options.max_speakers
    if least and most and least > most:
        message = _("The minimum number of speakers is greater than the maximum.")
        raise UploadRefused(422, "invalid_speakers", message)


def title_of(filename: str) -> str:
    """A readable title from a file name, without its folder, extension and control characters."""
    name = PurePath(filename.replace("\\", "/")).name
    stem = name.rsplit(".", 1)[0] if "." in name.lstrip(".") else name
    return clean_name(stem) or UNTITLED
