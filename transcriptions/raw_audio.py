"""Samples without a header, as telephone systems store them. Their media type or the extension of
their name describes them: nothing in the content can."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# For all recordings. Telephones use 8 kHz. At 1 Hz, 14 kB would be four hours.
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
# FFmpeg cannot mix more channels unless their layout has a name, such as "7.1".
MAX_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class RawFormat:
    """An encoding of samples, and its names."""

    name: str
    media_types: tuple[str, ...]  # the first one is stored
    extensions: Mapping[str, int]  # with their sample rates in Hz
    demuxer: str
    rate_hz: int | None = 8_000  # unless the media type states it; None: it must
    is_fixed: bool = False  # rate and channels follow from the encoding
    decoder: str = ""  # FFmpeg's, if the demuxer does not imply it


RAW_FORMATS = (
    RawFormat(
        "G.711 μ-law",
        ("audio/pcmu", "audio/basic", "audio/x-mulaw", "audio/mulaw", "audio/x-ulaw"),
        {"ulaw": 8_000, "ul": 8_000, "mulaw": 8_000, "pcmu": 8_000},
        "mulaw",
    ),
    RawFormat(
        "G.711 A-law",
        ("audio/pcma", "audio/x-alaw", "audio/alaw", "audio/x-alaw-basic"),
        {"alaw": 8_000, "al": 8_000, "pcma": 8_000},
        "alaw",
    ),
    RawFormat("16-bit PCM, big-endian", ("audio/l16",), {}, "s16be", rate_hz=None),
    RawFormat(
        "16-bit PCM, little-endian",
        ("audio/pcm", "audio/x-pcm", "audio/x-raw"),
        {"sln": 8_000, "sln12": 12_000, "sln16": 16_000, "sln24": 24_000, "sln32": 32_000}
        | {"sln44": 44_100, "sln48": 48_000},
        "s16le",
        rate_hz=None,
    ),
    RawFormat("G.722", ("audio/g722",), {"g722": 16_000}, "g722", is_fixed=True),
    RawFormat("G.723.1", ("audio/g723",), {"g723": 8_000}, "g723_1", is_fixed=True),
    RawFormat("G.729", ("audio/g729",), {"g729": 8_000}, "g729", is_fixed=True),
    RawFormat("GSM 06.10", ("audio/gsm", "audio/x-gsm"), {"gsm": 8_000}, "gsm", is_fixed=True),
    RawFormat("Dialogic ADPCM", ("audio/x-vox",), {"vox": 8_000}, "s16le", decoder="adpcm_ima_oki"),
)
_BY_MEDIA_TYPE = {media_type: each for each in RAW_FORMATS for media_type in each.media_types}
_BY_EXTENSION = {extension: each for each in RAW_FORMATS for extension in each.extensions}


@dataclass(frozen=True, slots=True)
class RawAudio:
    """An encoding with its sample rate in Hz and its channels."""

    format: RawFormat
    rate_hz: int
    channels: int = 1

    def __str__(self) -> str:
        """The media type."""
        return f"{self.format.media_types[0]};rate={self.rate_hz};channels={self.channels}"

    @property
    def input_options(self) -> dict[str, Any]:
        """FFmpeg's options before the input."""
        layout = {} if self.format.is_fixed else {"ar": self.rate_hz, "ac": self.channels}
        decoder = {"acodec": self.format.decoder} if self.format.decoder else {}
        return {"format": self.format.demuxer, **layout, **decoder}


def declared(filename: str, media_type: str) -> RawAudio | None:
    """The format of content without a header, from its name and media type; None if it should have
    a header. Raises ValueError if the media type has no valid sample rate or number of channels."""
    kind, *parameters = (part.strip().lower() for part in media_type.split(";"))
    if format := _BY_MEDIA_TYPE.get(kind):
        return _with_parameters(format, dict(re.findall(r"(\w+)=\"?(\w*)", ";".join(parameters))))
    extension = filename.lower().rpartition(".")[2]
    if format := _BY_EXTENSION.get(extension):
        return RawAudio(format, format.extensions[extension])
    return None


def _with_parameters(format: RawFormat, parameters: Mapping[str, str]) -> RawAudio:
    stated = parameters.get("rate", format.rate_hz)
    if stated is None:
        raise ValueError(f"{format.media_types[0]} needs a rate")
    rate, channels = int(stated), int(parameters.get("channels", 1))
    if not (MIN_RATE_HZ <= rate <= MAX_RATE_HZ and 1 <= channels <= MAX_CHANNELS):
        raise ValueError(f"{rate} Hz, {channels} channels")
    return RawAudio(format, rate, channels)
