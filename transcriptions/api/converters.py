"""How ids are read from addresses."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import UUIDConverter


class AnyCase(UUIDConverter):
    """A UUID, whose letters may be large as well (RFC 9562, section 4); ours are small."""

    regex = UUIDConverter.regex.replace("a-f", "a-fA-F")


register_converter(AnyCase, "id")
