"""The front door: what is checked while the person still waits, and how a recording is taken in.

Nothing is decoded here. Size and the first bytes decide; the rest is the worker's business.
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import PurePath
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from accounts.models import ApiToken, User
from accounts.text import clean_name
from gpu.languages import LANGUAGES
from transcriptions import queue
from transcriptions.exceptions import DISK_FULL_MESSAGE
from transcriptions.indexing.search import index_transcription
from transcriptions.models import Phase, Transcription, record_step, source_path
from transcriptions.processing import tasks
from transcriptions.usage import quotas

log = logging.getLogger(__name__)

FORMATS = "MP3, WAV, M4A, FLAC, OGG, Opus, WebM or MP4"
UNTITLED = "Untitled recording"
HEAD = 4096  # bytes looked at: some MP3 files begin with padding
MP3_KILOBITS = (  # MPEG 2 and 2.5, then MPEG 1
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)


class UploadRefused(Exception):
    """The file cannot be taken; `str()` says why and what to do."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def too_large(megabytes: int | None = None) -> UploadRefused:
    """The refusal of a file over that, or over MAX_FILE_SIZE_MB."""
    return UploadRefused(
        413,
        "file_too_large",
        f"The file is larger than {megabytes or settings.MAX_FILE_SIZE_MB} MB. "
        "Compress it (MP3 or Opus at 64 kbit/s is plenty for speech) or split it.",
    )


def disk_full() -> UploadRefused:
    """The refusal of a file for which the disk has no room."""
    return UploadRefused(507, "disk_full", DISK_FULL_MESSAGE)


def create_transcription(
    owner: User,
    upload: UploadedFile[Any],
    language: str = "",
    title: str = "",
    token: ApiToken | None = None,
    began: datetime | None = None,
) -> Transcription:
    """Stores the recording and queues it. Raises UploadRefused, or TooMany when the account's or
    the token's quota is reached; then nothing is left behind. `began` is when it was sent."""
    check(upload, owner)
    row = Transcription(
        owner=owner,
        token=token,
        title=clean_name(title) or title_of(upload.name or ""),
        source=upload,  # Django moves the temporary file to its place: no second copy
        source_bytes=upload.size or 0,
        requested_language=check_language(language),
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            index_transcription(row)
            if began:
                record_step(row, Phase.UPLOAD, at=began)
            record_step(row, Phase.QUEUE)
            quotas.admit(row)  # after the file was put away: it holds the account
            transaction.on_commit(lambda: _taken(row))
    except BaseException as error:
        # The row names the file once storage has it; an upload that never got there names itself.
        if row.source.name == source_path(row, ""):
            row.source.storage.delete(row.source.name)
        if isinstance(error, User.DoesNotExist):  # deleted while the recording was on its way
            gone = "The account does not exist any more: sign up, and send the recording again."
            raise UploadRefused(401, "not_authenticated", gone) from None
        raise
    return row


def _taken(row: Transcription) -> None:
    log.info("%s: taken in for user %s, %s bytes", row.id, row.owner_id, row.source_bytes)
    queue.enqueue(tasks.preprocess, row.id)


def check(upload: UploadedFile[Any], owner: User) -> None:
    """Size, then format. Raises UploadRefused."""
    if not upload.size:
        raise UploadRefused(400, "empty_file", "The file is empty. Choose a recording with sound.")
    megabytes = quotas.largest_file(owner.effective_plan, settings.MAX_FILE_SIZE_MB)
    if upload.size > megabytes * 1024 * 1024:
        raise too_large(megabytes)
    upload.seek(0)
    head = upload.read(HEAD)
    upload.seek(0)
    if not looks_like_media(head):
        raise UploadRefused(
            415,
            "unsupported_format",
            f"This is not a recording in a format we can read. Send {FORMATS}.",
        )


def check_language(language: str) -> str:
    """The code in lower case, empty for "detect it". Raises UploadRefused."""
    language = language.strip().lower().partition("-")[0]  # en-US is English
    if language in ("", "auto"):
        return ""
    if language not in LANGUAGES:
        raise UploadRefused(
            422,
            "unknown_language",
            f"The language {language[:20]!r} is unknown. Use a code such as en, de or fr, "
            "or leave it out and it is detected.",
        )
    return language


def looks_like_media(head: bytes) -> bool:
    """Whether the first bytes are those of a container that FFmpeg is allowed to open."""
    return (
        head[:4] in (b"fLaC", b"OggS", b"\x1aE\xdf\xa3")  # FLAC, Ogg (Opus, Vorbis), WebM
        or (head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE")
        or (head[4:8] in (b"ftyp", b"moov", b"wide", b"free", b"skip") and head[0] == 0)  # MP4, M4A
        or head[4:8] == b"mdat"
        or head[:3] == b"ID3"
        or _has_mp3_frame(head)
    )


def _has_mp3_frame(head: bytes) -> bool:
    """A frame at the very start, or two in a row: one alone is found in any compressed data."""
    at = 0
    while 0 <= at < len(head):
        length = _mp3_frame_length(head[at : at + 4])
        if length and (at == 0 or _mp3_frame_length(head[at + length : at + length + 4])):
            return True
        at = head.find(b"\xff", at + 1)
    return False


def _mp3_frame_length(header: bytes) -> int:
    """Bytes of the Layer III frame that begins so; 0 if none does (ISO 11172-3, 2.4.2.3)."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return 0
    full = version == 3  # MPEG 1; MPEG 2 and 2.5 have half or a quarter of its rates
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    kilobits = MP3_KILOBITS[full][bitrate - 1]
    return (144 if full else 72) * kilobits * 1000 // hertz + (header[2] >> 1 & 1)


def title_of(filename: str) -> str:
    """A readable title from a file name, without its folder, extension and control characters."""
    name = PurePath(filename.replace("\\", "/")).name
    stem = name.rsplit(".", 1)[0] if "." in name.lstrip(".") else name
    return clean_name(stem) or UNTITLED
