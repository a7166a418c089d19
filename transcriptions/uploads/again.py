"""A stored file as another recording: with another audio track, or recognized again.

The existing transcript stays as it is, whatever becomes of the new one.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from django.core.files.base import File
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.authentication import request_token
from accounts.models import ApiToken
from accounts.text import clean_name
from transcriptions.exceptions import AudioDeleted, WrongState
from transcriptions.models import State, Transcription
from transcriptions.uploads.params import Changes
from transcriptions.uploads.requests import insert_once, recording_of, unexpired
from transcriptions.uploads.service import (
    UploadRefused,
    check_language,
    check_speakers,
    check_task,
    delete_file,
    file_deleted_on_error,
    insert,
)
from transcriptions.usage import quotas


def recognize_again(
    row: Transcription, changes: Changes, key: str = "", request: HttpRequest | None = None
) -> Transcription:
    """A new recording of the same file. The edits of `row` are carried over when it completes,
    unless it is of another audio track. The same idempotency key returns the same recording.
    `request` is for the audit log.

    Raises WrongState, AudioDeleted, UploadRefused, Throttled, StorageUnavailable; then nothing is
    left.
    """
    fingerprint = hashlib.sha256(repr((str(row.id), changes)).encode()).hexdigest()
    if key and (earlier := unexpired(row.owner, key).first()):
        return recording_of(earlier, fingerprint)
    token = request_token(request) if request else None
    _check(row, changes, token)
    created = _new(row, changes, token)
    _copy_source(row, created)
    with file_deleted_on_error(created):
        if not key:
            insert(created, None, request=request)
            return created
        inserted = insert_once(created, key, fingerprint, None, request=request)
    if inserted.id != created.id:  # by a concurrent request with the same key
        delete_file(created)
    return inserted


def _check(row: Transcription, changes: Changes, token: ApiToken | None) -> None:
    if row.state != State.COMPLETED and not is_other_track(row, changes.track):
        raise WrongState(_("Only a completed recording can be recognized again."))
    if not row.source:
        raise _audio_deleted()
    if changes.track is not None and changes.track not in {each["index"] for each in row.tracks}:
        message = _("There is no such audio track in this recording.")
        raise UploadRefused(422, "unknown_track", message)
    check_task(str(dict(changes.options).get("task", row.options.task)))
    quotas.check_before_upload(row.owner, token)


def _copy_source(row: Transcription, created: Transcription) -> None:
    try:
        with row.source.storage.open(row.source.name or "", "rb") as source:
            created.source.save("", File(source), save=False)
    except FileNotFoundError:  # deleted meanwhile
        raise _audio_deleted() from None


def _audio_deleted() -> AudioDeleted:
    return AudioDeleted(_("The audio of this recording has been deleted."))


def _new(row: Transcription, changes: Changes, token: ApiToken | None) -> Transcription:
    is_other = is_other_track(row, changes.track)
    options = replace(row.options, **dict(changes.options))
    if changes.track is not None:
        options = replace(options, track=changes.track)
    if "keywords" not in dict(changes.options):  # the vocabulary may have changed
        keywords = dict.fromkeys([*options.keywords, *row.owner.vocabulary])
        options = replace(options, keywords=tuple(keywords))
    check_speakers(options)
    language = row.requested_language
    if changes.language is not None:
        language = check_language(changes.language)
    return Transcription(
        owner=row.owner,
        token=token,
        title=clean_name(_title(row, changes.track if is_other else None)),
        source_bytes=row.source_bytes,
        requested_language=language,
        priority=row.priority,
        stored_options=options.as_json(),
        previous=None if is_other else row,
    )


def is_other_track(row: Transcription, track: int | None) -> bool:
    """Whether that audio track is not the one that was transcribed."""
    return track is not None and track not in {t["index"] for t in row.tracks if t["chosen"]}


def _title(row: Transcription, other_track: int | None) -> str:
    if other_track is not None:
        values = {"title": row.title, "number": other_track + 1}
        return _("%(title)s, audio track %(number)s") % values
    suffix = _("%(title)s, recognized again") % {"title": ""}
    return row.title.removesuffix(suffix) + suffix
