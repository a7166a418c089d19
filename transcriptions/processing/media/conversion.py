"""Conversion of an untrusted recording to a WAV for engines."""

from __future__ import annotations

import errno
import signal
import subprocess
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
from django.conf import settings
from django.utils.translation import gettext as _

from gpu import pcm
from transcriptions.durations import units
from transcriptions.exceptions import AudioError, NoAudio, TooLong
from transcriptions.processing.media import ffmpeg_log, mixing, program
from transcriptions.processing.media.ffmpeg_log import Track
from transcriptions.processing.media.headers import is_wav_of_unknown_size, received_share
from transcriptions.raw_audio import MAX_CHANNELS, RawAudio

# A file that makes FFmpeg crash is the file's fault: another attempt would end in the same way.
CRASHES = {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV}

# Audio stays where the container puts it, or words would not agree with playback: gaps, and videos
# whose audio starts late, are filled with silence. Timestamps that go back (some recorders restart
# at zero) are shifted after the previous ones, because `aresample` alone would drop that audio.
TIMESTAMP_FILTER = (
    r"asetpts=st(1\,max(PTS\,ld(0)))+0*st(0\,ld(1)+S/(SR*TB)),aresample=async=1:first_pts=0"
)
# More channels are mixed to two by their positions, unless they are to be recognized separately.
# Two are looked at before they are mixed.
CHANNEL_FILTER = "aformat=channel_layouts=mono|stereo"
MAX_WAV_BYTES = (4 << 30) - (1 << 20)  # the size is a number of 32 bits
MIN_DURATION_S = 0.05  # no word is shorter
MIN_READABLE_SHARE = (
    0.9  # of the declared duration; if less could be read, the recording gets a note
)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is converted of a file: `raw` describes content without a header, `track` is the audio
    track, from 0. With `separate_channels`, channels with different sound are not mixed.
    `seconds` limits it to the beginning."""

    raw: RawAudio | None = None
    track: int = 0
    separate_channels: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class PreparedAudio:
    """A 24 kHz 16-bit WAV, its duration in seconds, a note for the owner, and all audio tracks of
    the file. `channels` are those to be recognized separately: without any, the WAV is mono, and
    `decoded_channels` is their number before they were mixed. `declared` is the duration by its
    header, 0 if unknown."""

    path: Path
    duration: float
    format: str
    note: str
    tracks: tuple[Track, ...] = ()
    channels: tuple[int, ...] = ()
    declared: float = 0.0
    decoded_channels: int = 1


def prepare(
    source: Path,
    folder: Path,
    check: Callable[[], None],
    selection: Selection = Selection(),
) -> PreparedAudio:
    """Convert `source` to `folder`/audio.wav. Raises AudioError, and what `check` raises, which is
    called several times per second."""
    wav = folder / "audio.wav"
    report = _convert(source, wav, folder / "ffmpeg.log", check, selection)
    ffmpeg_log.check_layout(report)
    ffmpeg_log.check_codec(report)
    mixing.make_plain(wav)
    duration, tracks = _duration(wav), tuple(ffmpeg_log.tracks(report))
    if duration < MIN_DURATION_S:
        _check_has_audio(report, tracks, selection.track)
        raise AudioError(
            _("The file is damaged: no audio could be read from it. Export or record it again.")
        )
    if duration > settings.MAX_DURATION_SECONDS or wav.stat().st_size >= MAX_WAV_BYTES:
        raise TooLong(
            _("The recording is longer than %(limit)s. Split it and upload the parts.")
            % {"limit": units(min(duration, settings.MAX_DURATION_SECONDS))}
        )
    share = received_share(source)
    declared = max(ffmpeg_log.declared_duration(report), duration / share) if share else duration
    note, container = _note(duration, declared, report), ffmpeg_log.container(report)
    by_header = ffmpeg_log.declared_duration(report, or_estimated=True)
    decoded = mixing.channel_count(wav)
    channels = _mixed(wav, check, separate=selection.separate_channels)
    return PreparedAudio(wav, duration, container, note, tracks, channels, by_header, decoded)


def _mixed(wav: Path, check: Callable[[], None], *, separate: bool) -> tuple[int, ...]:
    """Make one channel of several, unless they are to be kept. Return those to be recognized
    separately."""
    count = mixing.channel_count(wav)
    if count < 2:
        return ()
    if separate and mixing.are_independent(wav, check):
        return tuple(range(count))
    channels = mixing.compare(wav, check)
    if separate and channels.distinct:
        return channels.distinct
    unmixed = wav.rename(wav.with_name("unmixed.wav"))
    mixing.mix(unmixed, wav, channels.weights, check)
    unmixed.unlink()
    return ()


def _check_has_audio(report: str, tracks: Sequence[Track], track: int) -> None:
    """Raises NoAudio."""
    if ffmpeg_log.is_open(report) and not tracks:
        raise NoAudio(_("There is no sound in this file. Choose a recording with an audio track."))
    if tracks and track >= len(tracks):
        message = _(
            "There is no audio track %(track)s in this file. The last one is %(last)s; "
            "the first one is 0."
        )
        raise NoAudio(message % {"track": track, "last": len(tracks) - 1})


def _convert(
    source: Path, wav: Path, log_path: Path, check: Callable[[], None], selection: Selection
) -> str:
    """Write the WAV and return FFmpeg's log. The length of the WAV shows how much could be read.

    Raises AudioError if that takes too long or FFmpeg crashes, OSError if FFmpeg stopped for a
    reason other than the recording, and what `check` raises.
    """
    max_seconds = selection.seconds or settings.MAX_DURATION_SECONDS + 1
    options = program.input_options(selection.raw)
    if is_wav_of_unknown_size(source) and not selection.raw:
        options["ignore_length"] = 1
    filters = TIMESTAMP_FILTER
    if not selection.separate_channels:
        filters += f",{CHANNEL_FILTER}"
    command = (
        ffmpeg.input(program.url(source), **options)
        .output(
            program.url(wav),
            map=f"0:a:{selection.track}",
            af=filters,
            fs=MAX_WAV_BYTES,
            format="wav",
            acodec="pcm_s16le",
            ar=pcm.SAMPLE_RATE_HZ,
            t=max_seconds,
            map_metadata=-1,
            fflags="+bitexact",
        )
        .global_args("-nostdin", "-hide_banner", "-nostats", "-filter_threads", "1")
        .overwrite_output()
        .compile(cmd=program.ffmpeg_binary())
    )
    channels = MAX_CHANNELS if selection.separate_channels else 2
    size = round(max_seconds * pcm.SAMPLE_RATE_HZ) * 2 * channels + (16 << 20)
    with log_path.open("w+b") as log:
        try:
            with source.open("rb") as media, wav.open("w+b") as out:
                status = program.run(command, media, out, log, conversion_timeout_s(), size, check)
        except subprocess.TimeoutExpired:
            raise AudioError(
                _("This file takes too long to decode. Convert it to MP3 or WAV and try again.")
            ) from None
        report = program.read_log(log)
    # An incomplete WAV must not be used as the whole recording.
    if -status in CRASHES:
        raise AudioError(_("The file is damaged and cannot be decoded. Export or record it again."))
    if status < 0:
        raise OSError(f"FFmpeg was killed by signal {-status}: {report[-1000:]}")
    if "No space left on device" in report:
        raise OSError(errno.ENOSPC, "FFmpeg found no space left for the audio")
    return report


def conversion_timeout_s() -> float:
    """The timeout of a conversion; FFmpeg is some hundred times faster than playback."""
    return float(120 + settings.MAX_DURATION_SECONDS / 10)


def _duration(wav: Path) -> float:
    """Seconds of audio in the WAV; 0 if FFmpeg did not write it."""
    try:
        with wave.open(str(wav), "rb") as reader:
            # From the file's size: FFmpeg may have been stopped before it corrected the header.
            frame_bytes = 2 * reader.getnchannels()
            return (wav.stat().st_size - 44) / (reader.getframerate() * frame_bytes)
    except (OSError, EOFError, RuntimeError, wave.Error):
        return 0.0


def _note(duration: float, declared: float, report: str) -> str:
    is_whole = ffmpeg_log.has_other_tracks(report) and not ffmpeg_log.ENDS_EARLY.search(report)
    if duration < declared * MIN_READABLE_SHARE and not is_whole:
        return _(
            "The file ends early or is damaged: only %(readable)s of %(declared)s could be read."
        ) % {"readable": units(duration), "declared": units(declared)}
    if ffmpeg_log.DEMUXING_ERROR in report:
        return _("The file is damaged: what comes after %(position)s could not be read.") % {
            "position": units(duration)
        }
    return ""
