"""The audio of a live session as a file, the source of an ordinary recording."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
from django.db import transaction

from gpu.live_audio import BYTES_PER_SAMPLE
from transcriptions import raw_audio
from transcriptions.exceptions import AudioError
from transcriptions.models import AudioAnalysis, EndReason, LivePiece, LiveSession, Transcription
from transcriptions.processing import live_lifecycle
from transcriptions.processing.media import program
from transcriptions.processing.media.conversion import conversion_timeout_s
from transcriptions.processing.preparation import Preparation, prepare_recording
from transcriptions.processing.work_files import file_in_storage, temporary_folder
from transcriptions.raw_audio import RawAudio

log = logging.getLogger(__name__)

PIECES_PER_QUERY = 200


MIN_DURATION_S = 0.1  # of a session that becomes a recording


@dataclass(frozen=True, slots=True)
class Coding:
    """How the audio of a session is coded: `width` is the number of bytes of a sample, and
    `encoding` FFmpeg's name."""

    raw: RawAudio
    encoding: str
    width: int

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        return self.raw.rate_hz

    @property
    def bytes_per_second(self) -> int:
        """Bytes per second of the single channel."""
        return self.rate_hz * self.width


@dataclass(frozen=True, slots=True)
class Recorded:
    """A FLAC file with all audio of a session, and what was found in it."""

    path: Path
    preparation: Preparation


def coding_of(session: LiveSession) -> Coding:
    """How its audio is coded."""
    return coding(session.media_type)


def coding(media_type: str) -> Coding:
    """That of live audio with this media type. Raises ValueError if there is none."""
    raw = raw_audio.declared("", media_type)
    encoding = raw.format.demuxer if raw else ""
    if raw is None or encoding not in BYTES_PER_SAMPLE or raw.channels != 1:
        raise ValueError(f"{media_type!r} is no live audio")
    return Coding(raw, encoding, BYTES_PER_SAMPLE[encoding])


def has_audio(row: Transcription) -> bool:
    """Whether there is anything to keep of the session."""
    session = LiveSession.objects.get(pk=row.pk)
    return session.received_bytes > MIN_DURATION_S * coding_of(session).bytes_per_second


def record(row: Transcription, folder: Path, check: Callable[[], None]) -> Recorded:
    """Write all audio of the session to a file in `folder`, and prepare it like an upload. `check`
    is called several times per second. Raises AudioError if there is none."""
    raw, path = folder / "session.raw", folder / "session.flac"
    with raw.open("wb") as out:
        pieces = LivePiece.objects.filter(session=row.pk, commit=None).order_by("id")
        for data in pieces.values_list("data", flat=True).iterator(PIECES_PER_QUERY):
            out.write(data)
            check()
    _encode(raw, path, coding_of(row.live).raw, check)
    raw.unlink()
    return Recorded(path, prepare_recording(path, folder, row.options, check))


def _encode(raw: Path, path: Path, format: RawAudio, check: Callable[[], None]) -> None:
    command = (
        ffmpeg.input(program.url(raw), **program.input_options(format))
        .output(program.url(path), format="flac", acodec="flac", fflags="+bitexact")
        .global_args("-nostdin", "-hide_banner", "-nostats")
        .overwrite_output()
        .compile(cmd=program.ffmpeg_binary())
    )
    size = 2 * raw.stat().st_size * 2 + (16 << 20)  # a byte of G.711 becomes two
    log_path = path.with_suffix(".log")
    with raw.open("rb") as source, path.open("w+b") as out, log_path.open("w+b") as report:
        try:
            status = program.run(command, source, out, report, conversion_timeout_s(), size, check)
        except subprocess.TimeoutExpired:
            status = -1
        if status:
            raise OSError(f"FFmpeg has ended with {status}: {program.read_log(report)[-1000:]}")


def store(row: Transcription, name: str, recorded: Recorded) -> None:
    """Make the file, which is in the storage with this name, the source of the recording, which is
    no longer live. To be called in a transaction. Raises LeaseLost."""
    found, storage = recorded.preparation, row.source.storage
    live_lifecycle.mark_recorded(
        row,
        source=name,
        source_bytes=storage.size(name),
        format=found.audio.format,
        duration=found.audio.duration,
        tracks=found.tracks,
        note=found.audio.note,
    )
    AudioAnalysis.store(row, found.spans, found.waveform)
    LivePiece.objects.filter(session=row.pk).delete()


def keep_audio(row: Transcription) -> None:
    """Before a session fails: end it, and keep what was said as the recording's source, so that it
    can be recognized later. Raises LeaseLost."""
    live_lifecycle.end(row, EndReason.FAILED)
    if not has_audio(row):
        return
    try:
        with temporary_folder(row) as folder:
            recorded = record(row, folder, lambda: None)
            with file_in_storage(row, "source", recorded.path) as name, transaction.atomic():
                store(row, name, recorded)
    except (AudioError, OSError) as error:
        log.warning("%s: the audio of the session is not kept: %s", row.id, error)
