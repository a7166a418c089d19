"""ZIP files that are generated while they are sent."""

from __future__ import annotations

import uuid
import zipfile
from collections.abc import AsyncGenerator, Iterable, Iterator

from channels.db import database_sync_to_async
from django.utils.translation import gettext as _
from zipstream import ZipStream

from accounts.models import User
from transcriptions import permissions
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.filenames import file_name
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.reading import MissingFontError
from transcriptions.exports.service import export
from transcriptions.models import Transcription

CHUNK_BYTES = 256 * 1024
LEFT_OUT = "left-out.txt"


def in_chunks(parts: Iterable[bytes], size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The parts as chunks of `size` bytes or more; the last one may be smaller."""
    chunk = bytearray()
    for part in parts:
        chunk += part
        if len(chunk) >= size:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)


async def stream(chunks: Iterator[bytes]) -> AsyncGenerator[bytes]:
    """An asynchronous iterator, because Django collects a synchronous one in memory under ASGI.

    Each step runs in a thread that closes its database connection afterwards, so a slow reader
    holds none while it waits.
    """
    next_chunk = database_sync_to_async(lambda: next(chunks, None), thread_sensitive=False)
    while (chunk := await next_chunk()) is not None:
        yield chunk


def export_archive(
    user: User, ids: Iterable[uuid.UUID], format: str, options: ExportOptions
) -> Iterator[bytes]:
    """The transcripts of these recordings, each as a file. Recordings without a transcript, and
    those that do not belong to the user, are listed in LEFT_OUT.

    One transcript is in memory at a time. No query is open between two parts.
    """
    archive = ZipStream(compress_type=zipfile.ZIP_DEFLATED)
    names = UniqueNames(LEFT_OUT)
    left_out = []
    for transcription_id in ids:
        row = permissions.visible_to(user).filter(id=transcription_id).first()
        title = row.title if row else str(transcription_id)
        try:
            content = _exported(row, format, options)
        except _LeftOutError as error:
            left_out.append(f"{title}: {error}")
        else:
            name = names.add(file_name(title, EXPORTERS[format].extension))
            archive.add(content, name)
            yield from archive.all_files()
    if left_out:
        archive.add("\n".join([*left_out, ""]), LEFT_OUT)
    yield from archive.all_files()
    yield from archive.footer()


class _LeftOutError(Exception):
    """Why a transcript is not in the archive."""


def _exported(row: Transcription | None, format: str, options: ExportOptions) -> bytes:
    if row is None:
        raise _LeftOutError(_("there is no such recording."))
    if not row.has_transcript:
        raise _LeftOutError(_("there is no transcript yet."))
    try:
        return export(row, format, options)
    except MissingFontError as error:
        raise _LeftOutError(str(error)) from None


class UniqueNames:
    """Numbers repeated file names, including those that differ only in case."""

    def __init__(self, *taken: str) -> None:
        self._taken = {name.casefold() for name in taken}

    def add(self, name: str) -> str:
        """The name, or the first of `name (2)`, `name (3)`, ... that is free."""
        stem, _dot, extension = name.rpartition(".")
        unique, number = name, 1
        while unique.casefold() in self._taken:
            number += 1
            unique = f"{stem} ({number}).{extension}"
        self._taken.add(unique.casefold())
        return unique
