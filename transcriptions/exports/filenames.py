"""File names made from titles, which users choose."""

from __future__ import annotations

import re

from django.utils.http import content_disposition_header

from accounts.text import clean_name

MAX_NAME_CHARS = 80
MAX_NAME_BYTES = 200  # file systems allow 255, and an extension, a date or an id is added
UNTITLED = "recording"
# Extensions of recordings by FFmpeg's name of the container.
MEDIA_EXTENSIONS = {
    "mp3": "mp3",
    "wav": "wav",
    "w64": "wav",
    "mov": "m4a",
    "flac": "flac",
    "ogg": "ogg",
}


def safe_name(title: str) -> str:
    """The title without control characters, marks that change the direction of text, and
    characters that separate folders or that Windows does not allow. May be empty."""
    name = re.sub(r'[<>:"/\\|?*]', "-", clean_name(title))[:MAX_NAME_CHARS]
    return name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")


def attachment(title: str, extension: str) -> str:
    """The header Content-Disposition (RFC 6266) of a download. The name does not start with a dot,
    which would hide the file."""
    name = safe_name(title).lstrip(". ") or UNTITLED
    return content_disposition_header(True, f"{name}.{extension}") or "attachment"


def media_extension(container: str) -> str:
    """The extension of a recording; `container` is FFmpeg's name of its format."""
    return MEDIA_EXTENSIONS.get(container, "media")
