"""What FFmpeg's log says about a file. Tags of the file are in it too, so that it can lie."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from transcriptions.exceptions import UnsupportedFormat
from transcriptions.raw_audio import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ

DETECTED = re.compile(
    r"Format ([\w,]+) (?:probed with size=\d+ and score=|detected only with low score of )(\d+)"
)
REFUSED_DECODER = re.compile(r"Codec \((\w+)\) not on whitelist")
CODEC = re.compile(r"^  Stream #0:.*: Audio: (\w+)(?: \((\w+)\))?", re.MULTILINE)
LAYOUT = re.compile(r": Audio: [^\n]*?, (\d+) Hz, (?:(\d+) channels)?")
DEMUXING_ERROR = "Error during demuxing"  # FFmpeg's message when it stops reading
ENDS_EARLY = re.compile(r"partial file|File ended prematurely|Packet corrupt|" + DEMUXING_ERROR)


def check_layout(report: str) -> None:
    """Raises UnsupportedFormat. Looks at every track: metadata can add to the log, but not remove
    the line of the track that is used."""
    for hertz, channels in LAYOUT.findall(report):
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
    tracks = [set(names) for names in CODEC.findall(report)]
    if tracks and all(names & refused for names in tracks):
        message = _(
            "The sound of this recording is in a format that we cannot read (%(codec)s). "
            "Convert it to MP3 or WAV and upload it again."
        )
        raise UnsupportedFormat(message % {"codec": CODEC.findall(report)[0][0]})


def has_other_tracks(report: str) -> bool:
    """Whether there are tracks of video, subtitles or data, which can be longer than the audio."""
    return re.search(r"^  Stream #0:.*: (?!Audio)\w+: ", report, re.MULTILINE) is not None


def container(report: str) -> str:
    """FFmpeg's first name of the format; empty if it could not open the file."""
    match = re.search(r"Input #0, ([\w,]+), from", report)
    return match.group(1).split(",")[0] if match else ""


def declared_duration(report: str) -> float:
    """Seconds that the container declares; 0 if FFmpeg only estimated them."""
    if "Estimating duration from bitrate" in report:
        return 0.0
    match = re.search(r"^  Duration: (\d+):(\d+):(\d+\.\d+)", report, re.MULTILINE)
    if not match:
        return 0.0
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
