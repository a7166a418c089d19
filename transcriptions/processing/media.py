"""Untrusted media: detection of the format, and conversion to a WAV for engines.

Only FFmpeg opens such files, in a sandbox: a timeout, limits on memory and output, an allow-list of
demuxers, no file but the one that it is given, no network, and an empty environment.
"""

from __future__ import annotations

import errno
import re
import shutil
import signal
import subprocess
import tempfile
import wave
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import ffmpeg
import imageio_ffmpeg
from django.conf import settings
from django.db.models.fields.files import FieldFile
from django.utils.translation import gettext as _

from gpu import pcm
from transcriptions.durations import units
from transcriptions.exceptions import AudioError, NoAudio, TooLong, UnsupportedFormat
from transcriptions.processing import sandbox

DEMUXERS = "mp3,wav,mov,mp4,m4a,flac,ogg,matroska,webm"
FORMATS = "MP3, WAV, M4A, FLAC, OGG, Opus, WebM or MP4"  # the same, for messages
# Telephones use 8 kHz. At 1 Hz, 14 kB would be four hours.
MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ = 4_000, 384_000
MAX_UNNAMED_CHANNELS = 8  # FFmpeg cannot mix more of them ("9 channels" instead of "7.1") to one
LOG_EXCERPT_BYTES = 64_000  # read from the start of FFmpeg's log, and again from its end

PROBE_TIMEOUT_S = 5.0
PROBE_LOG_LIMIT_BYTES = 8 << 20
# FFmpeg scores its guess from 0 to 100. From this score on the file has a complete signature.
SIGNATURE_SCORE = 99
DETECTED = re.compile(
    r"Format ([\w,]+) (?:probed with size=\d+ and score=|detected only with low score of )(\d+)"
)

LAYOUT = re.compile(r": Audio: [^\n]*?, (\d+) Hz, (?:(\d+) channels)?")
# A file that makes FFmpeg crash is the file's fault: another attempt would end in the same way.
CRASHES = {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV}

# Audio stays where the container puts it, or words would not agree with playback: gaps, and videos
# whose audio starts late, are filled with silence. Timestamps that go back (some recorders restart
# at zero) are shifted after the previous ones, because `aresample` alone would drop that audio.
TIMESTAMP_FILTER = (
    r"asetpts=st(1\,max(PTS\,ld(0)))+0*st(0\,ld(1)+S/(SR*TB)),aresample=async=1:first_pts=0"
)
MIN_DURATION_S = 0.05  # no word is shorter
MIN_READABLE_SHARE = (
    0.9  # of the declared duration; if less could be read, the recording gets a note
)
COPY_BYTES = 1 << 20  # of a file in memory at a time, while it is copied from a remote storage
DEMUXING_ERROR = "Error during demuxing"  # FFmpeg's message when it stops reading
STREAMED_WAV_SIZE = 0x7FFF0000  # a WAV that was written to a pipe declares this size or more


@dataclass(frozen=True, slots=True)
class Probe:
    """What FFmpeg detected; `format` is its name of the container."""

    format: str
    has_audio: bool


@dataclass(frozen=True, slots=True)
class PreparedAudio:
    """A mono 24 kHz 16-bit WAV, its duration in seconds, and a note for the owner."""

    path: Path
    duration: float
    format: str
    note: str


def probe(path: Path) -> Probe:
    """Detect the format by content, whatever the file's name. Raises UnsupportedFormat, also for a
    sample rate or a number of channels that no recorder uses.

    A file that FFmpeg recognizes by a complete signature but cannot open is accepted: it is
    damaged, and `prepare` says so.
    """
    report, in_time = _probe_report(path)
    _check_layout(report)
    detected = DETECTED.search(report)  # the first match: FFmpeg has not read any metadata yet
    names, score = (detected[1], int(detected[2])) if detected else ("", 0)
    allowed = not set(DEMUXERS.split(",")).isdisjoint(names.split(","))
    if not allowed or not (_is_open(report) or score >= SIGNATURE_SCORE):
        if not in_time:
            raise UnsupportedFormat(_("The file could not be read in time. Please try again."))
        message = _("This is not a recording in a format we can read. Upload %(formats)s.")
        raise UnsupportedFormat(message % {"formats": FORMATS})
    return Probe(names.split(",")[0], _has_audio(report))


def prepare(source: Path, folder: Path, check: Callable[[], None]) -> PreparedAudio:
    """Convert `source` to `folder`/audio.wav. Raises AudioError, and what `check` raises, which is
    called several times per second."""
    wav = folder / "audio.wav"
    report = _convert(source, wav, folder / "ffmpeg.log", check)
    _check_layout(report)
    duration = _duration(wav)
    if duration < MIN_DURATION_S and _is_open(report) and not _has_audio(report):
        raise NoAudio(_("There is no sound in this file. Choose a recording with an audio track."))
    if duration < MIN_DURATION_S:
        raise AudioError(
            _("The file is damaged: no audio could be read from it. Export or record it again.")
        )
    if duration > settings.MAX_DURATION_SECONDS:
        raise TooLong(
            _("The recording is longer than %(limit)s. Split it and upload the parts.")
            % {"limit": units(settings.MAX_DURATION_SECONDS)}
        )
    declared = max(_declared_duration(report), duration / _received_share(source))
    return PreparedAudio(wav, duration, _container(report), _note(duration, declared, report))


# --- FFmpeg -------------------------------------------------------------------------------------


def _protocol() -> str:
    """How FFmpeg gets its files: from 6.0 on by descriptor (as stdin and stdout), so that it can
    open no other file and needs no permissions."""
    return "fd" if has_fd_protocol(ffmpeg_binary()) else "file"


def _url(path: Path) -> str:
    return "fd:" if _protocol() == "fd" else f"file:{path}"


def _input_options() -> dict[str, Any]:
    return {"protocol_whitelist": _protocol(), "format_whitelist": DEMUXERS, "threads": 1}


def _probe_report(path: Path) -> tuple[str, bool]:
    """Open the file without any output. Return FFmpeg's log, and whether it finished in time.

    Raises OSError if FFmpeg was killed or could not write its log: not the file's fault.
    """
    options = [part for name, value in _input_options().items() for part in (f"-{name}", value)]
    command = [ffmpeg_binary(), "-hide_banner", "-nostdin", "-loglevel", "debug"]
    command += [*map(str, options), "-i", _url(path)]
    with tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as log:
        try:
            with path.open("rb") as source:
                status = _run(command, source, log, log, PROBE_TIMEOUT_S, PROBE_LOG_LIMIT_BYTES)
        except subprocess.TimeoutExpired:  # the log so far may be enough to decide
            return _read(log), False
        report = _read(log)
        if status == -signal.SIGKILL or not report:
            log.write(b"\n")  # raises OSError if there is no space left for the log
            log.flush()
            raise OSError(f"FFmpeg could not look at the file: exit status {status}: {report}")
        return report, True


def _convert(source: Path, wav: Path, log_path: Path, check: Callable[[], None]) -> str:
    """Write the WAV and return FFmpeg's log. The length of the WAV shows how much could be read.

    Raises AudioError if that takes too long or FFmpeg crashes, OSError if FFmpeg stopped for a
    reason other than the recording, and what `check` raises.
    """
    max_seconds = settings.MAX_DURATION_SECONDS + 1
    command = (
        ffmpeg.input(_url(source), **_input_options())
        .output(
            _url(wav),
            map="0:a:0",
            af=TIMESTAMP_FILTER,
            format="wav",
            acodec="pcm_s16le",
            ac=1,
            ar=pcm.SAMPLE_RATE_HZ,
            t=max_seconds,
            map_metadata=-1,
            fflags="+bitexact",
        )
        .global_args("-nostdin", "-hide_banner", "-nostats", "-filter_threads", "1")
        .overwrite_output()
        .compile(cmd=ffmpeg_binary())
    )
    size = max_seconds * pcm.SAMPLE_RATE_HZ * 2 + (16 << 20)
    with log_path.open("w+b") as log:
        try:
            with source.open("rb") as media, wav.open("w+b") as out:
                status = _run(command, media, out, log, conversion_timeout_s(), size, check)
        except subprocess.TimeoutExpired:
            raise AudioError(
                _("This file takes too long to decode. Convert it to MP3 or WAV and try again.")
            ) from None
        report = _read(log)
    # An incomplete WAV must not be used as the whole recording.
    if -status in CRASHES:
        raise AudioError(_("The file is damaged and cannot be decoded. Export or record it again."))
    if status < 0:
        raise OSError(f"FFmpeg was killed by signal {-status}: {report[-1000:]}")
    if "No space left on device" in report:
        raise OSError(errno.ENOSPC, "FFmpeg found no space left for the audio")
    return report


def _run(
    command: list[str],
    source: BinaryIO,
    out: BinaryIO,
    log: BinaryIO,
    timeout_s: float,
    file_size: int,
    check: Callable[[], None] = lambda: None,
) -> int:
    """See `sandbox.run`."""
    return sandbox.run(
        command,
        stdin=source,
        stdout=out,
        stderr=log,
        timeout_s=timeout_s,
        file_size=file_size,
        check=check,
        unprivileged=_protocol() == "fd",
    )


def _read(log: BinaryIO) -> str:
    """The start and the end: for a damaged file FFmpeg can write a lot in between."""
    size = log.seek(0, 2)
    log.seek(0)
    start = log.read(LOG_EXCERPT_BYTES)
    log.seek(max(len(start), size - LOG_EXCERPT_BYTES))
    return (start + log.read()).decode(errors="replace")


def conversion_timeout_s() -> float:
    """The timeout of a conversion; FFmpeg is some hundred times faster than playback."""
    return float(120 + settings.MAX_DURATION_SECONDS / 10)


@cache
def ffmpeg_binary() -> str:
    """The path of the FFmpeg in the wheel, or the system's (IMAGEIO_FFMPEG_EXE overrides both).
    Absolute, because the subprocess has no PATH."""
    name = str(imageio_ffmpeg.get_ffmpeg_exe())
    return shutil.which(name) or name


@cache
def has_fd_protocol(binary: str) -> bool:
    """Whether this FFmpeg can read and write open files: version 6.0 or later."""
    listed = subprocess.run(
        [binary, "-hide_banner", "-protocols"], env={}, capture_output=True, check=False
    )
    return b"fd" in listed.stdout.split()


# --- Reading FFmpeg's log and the files -----------------------------------------------------------


def _check_layout(report: str) -> None:
    """Raises UnsupportedFormat. Looks at every track: metadata can add to the log, but not remove
    the line of the track that is used."""
    for hertz, channels in LAYOUT.findall(report):
        if not MIN_SAMPLE_RATE_HZ <= int(hertz) <= MAX_SAMPLE_RATE_HZ:
            message = _(
                "The sample rate of this recording (%(hertz)s Hz) is not between %(lowest)s and "
                "%(highest)s Hz. Convert it to MP3 or WAV with 16,000 Hz and upload it again."
            )
            limits = {"lowest": MIN_SAMPLE_RATE_HZ, "highest": MAX_SAMPLE_RATE_HZ}
            raise UnsupportedFormat(message % {"hertz": hertz, **limits})
        if channels and int(channels) > MAX_UNNAMED_CHANNELS:
            message = _(
                "This recording has too many channels (%(channels)s). "
                "Mix it down to mono or stereo and upload it again."
            )
            raise UnsupportedFormat(message % {"channels": channels})


def _is_open(report: str) -> bool:
    """Whether FFmpeg could read the container's header."""
    return re.search(r"^Input #0, ", report, re.MULTILINE) is not None


def _has_audio(report: str) -> bool:
    return re.search(r"^  Stream #0:.*: Audio: ", report, re.MULTILINE) is not None


def _duration(wav: Path) -> float:
    """Seconds of audio in the WAV; 0 if FFmpeg did not write it."""
    try:
        with wave.open(str(wav), "rb") as reader:
            # From the file's size: FFmpeg may have been stopped before it corrected the header.
            return (wav.stat().st_size - 44) / (reader.getframerate() * 2)
    except (OSError, EOFError, RuntimeError, wave.Error):
        return 0.0


def _container(report: str) -> str:
    match = re.search(r"Input #0, ([\w,]+), from", report)
    return match.group(1).split(",")[0] if match else ""


def _declared_duration(report: str) -> float:
    """Seconds that the container declares; 0 if FFmpeg only estimated them."""
    if "Estimating duration from bitrate" in report:
        return 0.0
    match = re.search(r"^  Duration: (\d+):(\d+):(\d+\.\d+)", report, re.MULTILINE)
    if not match:
        return 0.0
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _received_share(source: Path) -> float:
    """The share of a WAV that was received, by its header; FFmpeg looks only at the file size."""
    with source.open("rb") as file:
        head = file.read(8)
    size = int.from_bytes(head[4:], "little") + len(head)
    if head[:4] != b"RIFF" or size >= STREAMED_WAV_SIZE:
        return 1.0
    return min(1.0, source.stat().st_size / size)


def _note(duration: float, declared: float, report: str) -> str:
    if duration < declared * MIN_READABLE_SHARE:
        return _(
            "The file ends early or is damaged: only %(readable)s of %(declared)s could be read."
        ) % {"readable": units(duration), "declared": units(declared)}
    if DEMUXING_ERROR in report:
        return _("The file is damaged: what comes after %(position)s could not be read.") % {
            "position": units(duration)
        }
    return ""


def local_copy(file: FieldFile, folder: Path, check: Callable[[], None]) -> Path:
    """A path of a stored file: the file itself if the storage is a disk, else a copy in `folder`.

    Raises OSError, and what `check` raises, which is called for each part of a copy.
    """
    try:
        return Path(file.path)
    except NotImplementedError:
        pass
    name = file.name or "file"
    target = folder / Path(name).name
    with file.storage.open(name, "rb") as source, target.open("wb") as out:
        while part := source.read(COPY_BYTES):
            check()
            out.write(part)
    return target
