"""The media types of files, with which their content is sent: the request has no file name."""

from __future__ import annotations

import mimetypes
from pathlib import Path

# Audio without a header, of which only the name says what it is.
RAW_MEDIA_TYPES = {
    **dict.fromkeys(("ulaw", "ul", "mulaw", "pcmu"), "audio/pcmu"),
    **dict.fromkeys(("alaw", "al", "pcma"), "audio/pcma"),
    "sln": "audio/pcm;rate=8000",
    "sln12": "audio/pcm;rate=12000",
    "sln16": "audio/pcm;rate=16000",
    "sln24": "audio/pcm;rate=24000",
    "sln32": "audio/pcm;rate=32000",
    "sln44": "audio/pcm;rate=44100",
    "sln48": "audio/pcm;rate=48000",
    "g722": "audio/g722;rate=16000",
    "g723": "audio/g723",
    "g729": "audio/g729",
    "gsm": "audio/gsm",
    "vox": "audio/x-vox",
}


def media_type(path: Path) -> str:
    """The media type that the extension implies. The content decides if it is a common one."""
    if raw := RAW_MEDIA_TYPES.get(path.suffix.lower()[1:]):
        return raw
    guess = mimetypes.guess_type(path.name)[0] or ""
    return guess if guess.startswith(("audio/", "video/")) else "application/octet-stream"
