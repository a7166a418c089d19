"""Detection of the format of an untrusted file, while its owner waits."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from transcriptions import media_formats
from transcriptions.exceptions import UnsupportedFormat
from transcriptions.processing.media import ffmpeg_log, program
from transcriptions.processing.media.ffmpeg_log import Track
from transcriptions.raw_audio import RawAudio

PROBE_TIMEOUT_S = 5.0
PROBE_LOG_LIMIT_BYTES = 8 << 20
# FFmpeg scores its guess from 0 to 100. From this score on the file has a complete signature.
SIGNATURE_SCORE = 99


@dataclass(frozen=True, slots=True)
class Probe:
    """What FFmpeg detected; `format` is its name of the container. With `raw`, there is none."""

    format: str
    has_audio: bool
    raw: RawAudio | None = None
    tracks: tuple[Track, ...] = field(default=(), compare=False)


def probe(path: Path, declared: RawAudio | None = None) -> Probe:
    """Detect the format by content, whatever the file's name. Raises UnsupportedFormat, also for a
    sample rate or a number of channels that no recorder uses.

    A file that FFmpeg recognizes by a complete signature but cannot open is accepted: it is
    damaged, and `prepare` says so. `declared` counts only without such a signature.
    """
    report, in_time = _probe_report(path)
    ffmpeg_log.check_layout(report)
    # The first match: FFmpeg has not read any metadata yet.
    detected = ffmpeg_log.DETECTED.search(report)
    names, score = (detected[1], int(detected[2])) if detected else ("", 0)
    if declared and score < SIGNATURE_SCORE:
        return Probe(declared.format.demuxer, has_audio=True, raw=declared)
    allowed = not set(media_formats.DEMUXERS.split(",")).isdisjoint(names.split(","))
    if not allowed or not (_is_readable(report) or score >= SIGNATURE_SCORE):
        if not in_time:
            raise UnsupportedFormat(_("The file could not be read in time. Please try again."))
        message = _("This is not a recording in a format we can read. Upload %(formats)s.")
        raise UnsupportedFormat(message % {"formats": media_formats.COMMON_FORMATS})
    ffmpeg_log.check_codec(report)
    tracks = tuple(ffmpeg_log.tracks(report))
    return Probe(names.split(",")[0], has_audio=bool(tracks), tracks=tracks)


def _is_readable(report: str) -> bool:
    """Whether FFmpeg opened the file, and has found a sample rate in it if there is audio. A few
    bytes can look like the start of a codec without a container."""
    has_rate = ffmpeg_log.LAYOUT.search(report) is not None
    return ffmpeg_log.is_open(report) and (has_rate or not ffmpeg_log.has_audio(report))


def _probe_report(path: Path) -> tuple[str, bool]:
    """Open the file without any output. Return FFmpeg's log, and whether it finished in time.

    Raises OSError if FFmpeg was killed or could not write its log: not the file's fault.
    """
    options = [
        part for name, value in program.input_options().items() for part in (f"-{name}", value)
    ]
    command = [program.ffmpeg_binary(), "-hide_banner", "-nostdin", "-loglevel", "debug"]
    command += [*map(str, options), "-i", program.url(path)]
    with tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as log:
        try:
            with path.open("rb") as source:
                status = program.run(
                    command, source, log, log, PROBE_TIMEOUT_S, PROBE_LOG_LIMIT_BYTES
                )
        except subprocess.TimeoutExpired:  # the log so far may be enough to decide
            return program.read_log(log), False
        report = program.read_log(log)
        if status == -signal.SIGKILL or not report:
            log.write(b"\n")  # raises OSError if there is no space left for the log
            log.flush()
            raise OSError(f"FFmpeg could not read the file: exit status {status}: {report}")
        return report, True
