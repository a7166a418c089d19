"""What FFmpeg's log says about a file. Tags of the file are in it too, so that it can lie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from transcriptions.exceptions import UnsupportedFormat
from transcriptions.raw_audio import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ

DETECTED = re.compile(
    r"Format ([\w,]+) (?:probed with size=\d+ and score=|detected only with low score of )(\d+)"
)
REFUSED_DECODER = re.compile(r"Codec \((\w+)\) not on whitelist")
CODEC = re.compile(r"^  Stream #0:.*: Audio: (\w+)(?: \((\w+)\))?", re.MULTILINE)
LAYOUT = re.compile(r": Audio: [^\n]*?, (\d+) Hz, (?:(\d+) channels)?")
TRACK = re.compile(
    r"^  Stream #0:\d+(?:\[\w+\])?(?:\((?P<language>\w+)\))?[^\n]*?: Audio: (?P<codec>\w+)"
    r"(?:[^\n]*? Hz, (?P<layout>[^,\n]+))?(?P<rest>[^\n]*)$",
    re.MULTILINE,
)
TITLE = re.compile(r"^      title +: ([^\n]+)$", re.MULTILINE)
LAYOUTS = {"mono": 1, "stereo": 2, "downmix": 2, "quad": 4, "hexagonal": 6, "octagonal": 8}
DEMUXING_ERROR = "Error during demuxing"  # FFmpeg's message when it stops reading
ENDS_EARLY = re.compile(r"partial file|File ended prematurely|Packet corrupt|" + DEMUXING_ERROR)


@dataclass(frozen=True, slots=True)
class Track:
    """An audio track, counted from 0. `language` is its ISO 639-2 code; empty if unknown."""

    index: int
    language: str
    title: str
    codec: str
    channels: int | None
    is_default: bool


def tracks(report: str) -> Iterator[Track]:
    """The audio tracks of the input."""
    streams = re.split(r"^(?=  Stream #0:)", _input(report), flags=re.MULTILINE)
    found = ((TRACK.match(stream), TITLE.search(stream)) for stream in streams)
    audio = ((match, title) for match, title in found if match)
    for index, (match, title) in enumerate(audio):
        language = match["language"] or ""
        yield Track(
            index,
            "" if language == "und" else language,
            title[1].strip() if title else "",
            match["codec"],
            _channel_count(match["layout"] or ""),
            "(default)" in match["rest"],
        )


def _input(report: str) -> str:
    """The report without what FFmpeg says about its output."""
    return report.partition("\nStream mapping:")[0]


def _channel_count(layout: str) -> int | None:
    """The number in a layout such as `stereo`, `5.1(side)` or `9 channels`."""
    name = layout.strip().partition("(")[0]
    if name in LAYOUTS:
        return LAYOUTS[name]
    if numbers := re.fullmatch(r"(\d+)(?:\.(\d))?(?:\.(\d))?(?: channels)?", name):
        return sum(int(number) for number in numbers.groups("0"))
    return None


def check_layout(report: str) -> None:
    """Raises UnsupportedFormat. Looks at every track: metadata can add to the log, but not remove
    the line of the track that is used."""
    for hertz, channels in LAYOUT.findall(_input(report)):
        if not MIN_RATE_HZ <= int(hertz) <= MAX_RATE_HZ:
            message = _(
                "The sample rate of this recording (%(hertz)s Hz) is not between %(lowest)s and "
                "%(highest)s Hz. Convert it to MP3 or WAV with 16,000 Hz and upload it again."
            )
            limits = {"lowest": MIN_RATE_HZ, "highest": MAX_RATE_HZ}
            raise UnsupportedFormat(message % {"hertz": hertz, **limits})
        if channels and int(channels) > MAX_CHANNELS:
            message = _(
                "This recording has too many channels (%(channels)s). "
                "Mix it down to mono or stereo and upload it again."
            )
            raise UnsupportedFormat(message % {"channels": channels})


def is_open(report: str) -> bool:
    """Whether FFmpeg could read the container's header."""
    return re.search(r"^Input #0, ", report, re.MULTILINE) is not None


def has_audio(report: str) -> bool:
    """Whether there is an audio track."""
    return re.search(r"^  Stream #0:.*: Audio: ", report, re.MULTILINE) is not None


def check_codec(report: str) -> None:
    """Raises UnsupportedFormat if no track has a codec that is allowed."""
    refused = set(REFUSED_DECODER.findall(report))
    tracks = [set(names) for names in CODEC.findall(_input(report))]
    if tracks and all(names & refused for names in tracks):
        message = _(
            "The sound of this recording is in a format that we cannot read (%(codec)s). "
            "Convert it to MP3 or WAV and upload it again."
        )
        raise UnsupportedFormat(message % {"codec": CODEC.findall(_input(report))[0][0]})


def has_other_tracks(report: str) -> bool:
    """Whether there are tracks of video, subtitles or data, which can be longer than the audio."""
    return re.search(r"^  Stream #0:.*: (?!Audio)\w+: ", report, re.MULTILINE) is not None


def container(report: str) -> str:
    """FFmpeg's first name of the format; empty if it could not open the file."""
    match = re.search(r"Input #0, ([\w,]+), from", report)
    return match.group(1).split(",")[0] if match else ""


def declared_duration(report: str, *, or_estimated: bool = False) -> float:
    """Seconds that the container declares; 0 if it does not, and FFmpeg estimated them at most."""
    if "Estimating duration from bitrate" in report and not or_estimated:
        return 0.0
    match = re.search(r"^  Duration: (\d+):(\d+):(\d+\.\d+)", report, re.MULTILINE)
    return _seconds(match) if match else 0.0


def time_read(report: str) -> float:
    """Seconds that FFmpeg has read, by the last line of its log; 0 if it has read nothing."""
    times = list(re.finditer(r" time=(\d+):(\d+):(\d+\.\d+)", report))
    return _seconds(times[-1]) if times else 0.0


def _seconds(match: re.Match[str]) -> float:
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
