"""File names from titles, which users choose."""

from __future__ import annotations

import re

from django.utils.http import content_disposition_header

from accounts.text import clean_name

MAX_NAME_CHARS = 80
MAX_NAME_BYTES = 200  # file systems allow 255, and an extension, a date or an id is added
UNTITLED = "recording"


def safe_name(title: str) -> str:
    """The title without control characters, marks that change the direction of text, and
    characters that separate folders or that Windows does not allow. May be empty."""
    name = re.sub(r'[<>:"/\\|?*]', "-", clean_name(title))[:MAX_NAME_CHARS]
    return name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")


def file_name(title: str, extension: str) -> str:
    """The name of a downloaded file. It does not start with a dot, which would hide the file."""
    return f"{safe_name(title).lstrip('. ') or UNTITLED}.{extension}"


def attachment(title: str, extension: str) -> str:
    """The header Content-Disposition (RFC 6266) of a download."""
    return content_disposition_header(True, file_name(title, extension)) or "attachment"
