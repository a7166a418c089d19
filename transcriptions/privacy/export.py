"""The export of all data of a user: a ZIP file that is generated while it is sent."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from typing import IO, Any

from django.core.serializers.json import DjangoJSONEncoder
from zipstream import ZipStream

from accounts.models import User
from transcriptions import media_formats, permissions
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.filenames import safe_name
from transcriptions.exports.options import DEFAULT_OPTIONS
from transcriptions.exports.service import transcript_of
from transcriptions.exports.zip_files import CHUNK_BYTES, in_chunks
from transcriptions.models import Transcription
from transcriptions.privacy import account_data
from transcriptions.schemas.transcripts import TranscriptOut


def export_user_data(user: User) -> Iterator[bytes]:
    """The ZIP file in chunks of CHUNK_BYTES to 2 * CHUNK_BYTES; the last one may be smaller.

    At most one transcript and two chunks are in memory. No query is open between two chunks, so
    the caller may close the database connection there.
    """
    return in_chunks(_archive(user), CHUNK_BYTES)


def _archive(user: User) -> Iterator[bytes]:
    archive = ZipStream()
    archive.add(_json(account_data.account(user)), "account.json")
    # Iterables have no known size, so zipstream writes them with ZIP64 headers.
    archive.add(_json_array(account_data.usage(user)), "usage.json")
    archive.add(_json_array(account_data.activity(user)), "activity.json")
    archive.add(_json_array(account_data.webhook_deliveries(user)), "webhook_deliveries.json")
    yield from archive.all_files()
    for transcription_id in _transcription_ids(user):
        row = permissions.visible_to(user).filter(id=transcription_id).first()
        if row is not None:  # None: deleted since the export started
            yield from _recording(archive, row)
    yield from archive.footer()


def _transcription_ids(user: User) -> list[uuid.UUID]:
    rows = permissions.visible_to(user).order_by("created_at", "id")
    return list(rows.values_list("id", flat=True))


def _recording(archive: ZipStream, row: Transcription) -> Iterator[bytes]:
    folder = _folder_name(row)
    archive.add(TranscriptOut.of(row).model_dump_json(indent=2), f"{folder}/recording.json")
    if row.edits.exists():
        archive.add(_json_array(account_data.edits(row)), f"{folder}/edits.json")
    if noted := account_data.annotations_of(row):
        archive.add(_json(noted), f"{folder}/annotations.json")
    if row.has_transcript:
        transcript = transcript_of(row, words=True)
        for extension in ("txt", "srt", "vtt"):
            content = EXPORTERS[extension].write(transcript, DEFAULT_OPTIONS)
            archive.add(content, f"{folder}/transcript.{extension}")
    yield from archive.all_files()
    source = _open_source(row)
    if source is not None:
        with source:
            archive.add(_read(source), f"{folder}/recording.{media_formats.extension(row.format)}")
            yield from archive.all_files()


def _open_source(row: Transcription) -> Any:
    """The uploaded file, or None if it was deleted. A file that is deleted after it was opened can
    still be read."""
    try:
        return row.source.open("rb") if row.source else None
    except FileNotFoundError:
        return None


def _read(source: IO[bytes]) -> Iterator[bytes]:
    while data := source.read(CHUNK_BYTES):
        yield data


def _folder_name(row: Transcription) -> str:
    # Reserved names (NUL) and trailing dots are harmless between a date and an id.
    return f"{row.created_at:%Y-%m-%d} {safe_name(row.title)} {str(row.id)[:8]}"


def _json(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, cls=DjangoJSONEncoder)


def _json_array(rows: Iterable[object]) -> Iterator[bytes]:
    """A JSON array of any length, one element at a time."""
    separator = "[\n"
    for row in rows:
        yield f"{separator}{_json(row)}".encode()
        separator = ",\n"
    yield b"[]\n" if separator == "[\n" else b"\n]\n"
