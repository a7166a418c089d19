"""Untrusted media into a WAV that engines can trust. FFmpeg does it, in a guarded subprocess.

The guard: a deadline, a whitelist of containers, no protocol but plain files, no more output than
the longest recording allowed, and a limit on memory.
"""

from __future__ import annotations

import contextlib
import errno
import re
import resource
import shutil
import subprocess
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
from django.conf import settings
from django.db.models.fields.files import FieldFile

from gpu import pcm
from transcriptions.durations import units
from transcriptions.exceptions import AudioError, NoAudio, TooLong

DEMUXERS = "mp3,wav,mov,mp4,m4a,flac,ogg,matroska,webm"
MEMORY = 2 << 30  # bytes of address space; decoding audio takes a tenth of it
# Sound stays where the container puts it, or words would not agree with playback: gaps, and films
# whose sound begins late, are filled with silence. Times that step back (some recorders begin anew
# at zero) are moved behind what came before, as `aresample` alone would throw that sound away.
TIMES = r"asetpts=st(1\,max(PTS\,ld(0)))+0*st(0\,ld(1)+S/(SR*TB)),aresample=async=1:first_pts=0"
SHORTEST = 0.05  # seconds: less than this holds no word
MISSING = 0.9  # a recording of which less than this share could be read is worth a note
GAVE_UP = "Error during demuxing"  # what FFmpeg says if it reads no further
UNKNOWN_SIZE = 0x7FFF0000  # and above: what a WAV claims that was written to a pipe
LOUD = 64_000  # bytes of what FFmpeg says that are looked at, from the beginning and from the end


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mono 24 kHz 16-bit WAV, its length in seconds, and what is worth knowing about it."""

    path: Path
    duration: float
    format: str
    note: str


def prepare(source: Path, folder: Path) -> Prepared:
    """Converts `source` into `folder`/audio.wav. Raises AudioError."""
    wav = folder / "audio.wav"
    report = _convert(source, wav, folder / "ffmpeg.log")
    duration = _duration(wav)
    if duration < SHORTEST and "Input #0" in report and ": Audio: " not in report:
        raise NoAudio("There is no sound in this file. Choose a recording with an audio track.")
    if duration < SHORTEST:
        raise AudioError(
            "The file is damaged: no sound could be read from it. Export or record it again."
        )
    if duration > settings.MAX_DURATION_SECONDS:
        raise TooLong(
            f"The recording is longer than {units(settings.MAX_DURATION_SECONDS)}. "
            "Split it and send the parts."
        )
    promised = max(_declared(report), duration / _share_of_wav(source))
    return Prepared(wav, duration, _container(report), _note(duration, promised, report))


def _convert(source: Path, wav: Path, log: Path) -> str:
    """Runs FFmpeg and returns beginning and end of what it said; the WAV tells how far it came.

    Raises AudioError if that takes too long, and OSError if it is not the recording's fault that
    it came no further.
    """
    longest = settings.MAX_DURATION_SECONDS + 1
    command = (
        ffmpeg.input(
            f"file:{source}", protocol_whitelist="file", format_whitelist=DEMUXERS, threads=1
        )
        .output(
            f"file:{wav}",
            map="0:a:0",
            af=TIMES,
            format="wav",
            acodec="pcm_s16le",
            ac=1,
            ar=pcm.RATE,
            t=longest,
            map_metadata=-1,
            fflags="+bitexact",
        )
        .global_args("-nostdin", "-hide_banner", "-nostats")
        .overwrite_output()
        .compile(cmd=ffmpeg_binary())
    )
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
        try:
            _limit(process.pid, file_size=(longest * pcm.RATE * 2) + (16 << 20))
            process.wait(timeout=deadline())
        except subprocess.TimeoutExpired:
            raise AudioError(
                "This file takes too long to decode. Convert it to MP3 or WAV and try again."
            ) from None
        finally:
            process.kill()
            process.wait()
    report = _read(log)
    # A WAV that FFmpeg could not go on writing must not pass for the whole recording.
    if process.returncode < 0:
        raise OSError(f"FFmpeg was killed by signal {-process.returncode}")
    if "No space left on device" in report:
        raise OSError(errno.ENOSPC, "FFmpeg found no room for the audio")
    return report


def _read(log: Path) -> str:
    """Its beginning and its end: a damaged file can make FFmpeg say a lot in between."""
    with log.open("rb") as said:
        beginning = said.read(LOUD)
        said.seek(max(said.tell(), log.stat().st_size - LOUD))
        return (beginning + said.read()).decode(errors="replace")


def deadline() -> float:
    """Seconds that FFmpeg is given: it is some hundred times faster than the recording plays."""
    return float(120 + settings.MAX_DURATION_SECONDS / 10)


def _limit(pid: int, file_size: int) -> None:
    """Limits from outside: running code between fork and exec is not safe with threads."""
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (file_size, file_size))


def _duration(wav: Path) -> float:
    """Seconds of audio in the WAV; 0 if FFmpeg never came to writing it."""
    try:
        with wave.open(str(wav), "rb") as reader:
            # Counted from the file, not the header: FFmpeg may have been stopped before fixing it.
            return (wav.stat().st_size - 44) / (reader.getframerate() * 2)
    except (OSError, EOFError, wave.Error):
        return 0.0


def _container(report: str) -> str:
    found = re.search(r"Input #0, ([\w,]+), from", report)
    return found.group(1).split(",")[0] if found else ""


def _declared(report: str) -> float:
    """The length that the container claims, in seconds; 0 if it claims none, or FFmpeg guesses."""
    if "Estimating duration from bitrate" in report:
        return 0.0
    found = re.search(r"^  Duration: (\d+):(\d+):(\d+\.\d+)", report, re.MULTILINE)
    if not found:
        return 0.0
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _share_of_wav(source: Path) -> float:
    """How much of a WAV has arrived by its own header: FFmpeg only believes the file's size."""
    with source.open("rb") as file:
        head = file.read(8)
    size = int.from_bytes(head[4:], "little") + len(head)
    if head[:4] != b"RIFF" or size >= UNKNOWN_SIZE:
        return 1.0
    return min(1.0, source.stat().st_size / size)


def _note(duration: float, promised: float, report: str) -> str:
    if duration < promised * MISSING:
        return (
            f"The file ends early or is damaged: only {units(duration)} of {units(promised)} "
            "could be read."
        )
    if GAVE_UP in report:
        return f"The file is damaged: what comes after {units(duration)} could not be read."
    return ""


@cache
def ffmpeg_binary() -> str:
    """The FFmpeg that the wheel brings, or the system's (`IMAGEIO_FFMPEG_EXE` names another)."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@contextlib.contextmanager
def local_copy(file: FieldFile, folder: Path) -> Iterator[Path]:
    """A path to the stored file: its own where storage is a disk, else a copy in `folder`."""
    try:
        yield Path(file.path)
        return
    except NotImplementedError:
        pass
    target = folder / Path(file.name or "file").name
    with file.open("rb") as source, target.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    yield target
