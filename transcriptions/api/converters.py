"""URL path converters."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import UUIDConverter


class CaseInsensitiveUUIDConverter(UUIDConverter):
    """A UUID in upper or lower case (RFC 9562, section 4). URLs are written in lower case."""

    regex = UUIDConverter.regex.replace("a-f", "a-fA-F")


register_converter(CaseInsensitiveUUIDConverter, "id")
