"""The media types that the command line sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from transcodio_site.cli.media_types import RAW_MEDIA_TYPES, media_type
from transcriptions.raw_audio import RAW_FORMATS, declared

EXTENSIONS = {extension for format in RAW_FORMATS for extension in format.extensions}


def test_extensions_of_audio_without_header_are_those_of_the_service() -> None:
    assert RAW_MEDIA_TYPES.keys() == EXTENSIONS


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_media_type_says_what_the_extension_says(extension: str) -> None:
    name = f"call.{extension.upper()}"
    assert declared("", media_type(Path(name))) == declared(name, "application/octet-stream")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("talk.mp3", "audio/mpeg"),
        ("film.mp4", "video/mp4"),
        ("notes.txt", "application/octet-stream"),
        ("talk", "application/octet-stream"),
    ],
)
def test_other_media_types_are_those_of_python(name: str, expected: str) -> None:
    assert media_type(Path(name)) == expected
