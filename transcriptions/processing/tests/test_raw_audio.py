"""Samples without a header: their name or their media type describes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from transcodio_site.testing import Media
from transcriptions.exceptions import UnsupportedFormat
from transcriptions.processing.media.conversion import Selection, prepare
from transcriptions.processing.media.probing import probe
from transcriptions.processing.tests.helpers import no_check
from transcriptions.processing.tests.test_media import audible_seconds
from transcriptions.raw_audio import RAW_FORMATS, declared

MULAW = ("-f", "mulaw", "-ar", "8000", "-ac", "1")


@pytest.mark.parametrize(
    ("name", "media_type", "options"),
    [
        ("call.ulaw", "", MULAW),
        ("CALL.UL", "application/octet-stream", MULAW),
        ("call", "audio/basic", MULAW),
        ("call", "audio/PCMU", MULAW),
        ("call", "audio/PCMU;rate=16000; channels=2", ("-f", "mulaw", "-ar", "16000", "-ac", "2")),
        ("call.al", "", ("-f", "alaw", "-ar", "8000", "-ac", "1")),
        ("call", "audio/pcma", ("-f", "alaw", "-ar", "8000", "-ac", "1")),
        ("call", "audio/L16;rate=44100;channels=2", ("-f", "s16be", "-ar", "44100", "-ac", "2")),
        ("call", 'audio/pcm; rate="24000"', ("-f", "s16le", "-ar", "24000", "-ac", "1")),
        ("call.sln", "", ("-f", "s16le", "-ar", "8000", "-ac", "1")),
        ("call.sln16", "", ("-f", "s16le", "-ar", "16000", "-ac", "1")),
        ("call.g722", "", ("-f", "g722", "-ar", "16000", "-ac", "1")),
        ("call", "audio/G722;rate=8000", ("-f", "g722", "-ar", "16000", "-ac", "1")),
        ("call.g723", "", ("-f", "g723_1", "-b:a", "6300", "-ar", "8000", "-ac", "1")),
    ],
)
def test_samples_without_a_header_are_read_as_declared(
    media: Media, tmp_path: Path, name: str, media_type: str, options: tuple[str, ...]
) -> None:
    path = media.speech("raw", 5, *options)
    found = probe(path, declared(name, media_type))
    assert found.raw
    audio = prepare(path, tmp_path, no_check, Selection(found.raw))
    assert audio.duration == pytest.approx(5, abs=0.1)
    assert (audio.format, audio.note) == (found.format, "")
    assert audible_seconds(audio.path) == pytest.approx(
        audible_seconds(_plain(media, tmp_path)), abs=0.6
    )


def _plain(media: Media, tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    folder.mkdir()
    return prepare(media.speech("five.wav", 5), folder, no_check).path


@pytest.mark.parametrize("name", ["plain.au", "plain.wav", "plain.flac"])
def test_content_with_a_header_counts_more_than_its_name(media: Media, name: str) -> None:
    found = probe(media.speech(f"probe-{name}", 1), declared("call.ul", "audio/basic"))
    assert found.raw is None
    assert found.format == name.partition(".")[2]


def test_same_samples_without_a_declaration_are_refused(media: Media) -> None:
    with pytest.raises(UnsupportedFormat):
        probe(media.speech("raw", 5, *MULAW), declared("call.raw", "application/octet-stream"))


@pytest.mark.parametrize(
    "media_type",
    [
        "audio/L16",
        "audio/pcm;channels=1",
        "audio/L16;rate=1",
        "audio/L16;rate=8000;channels=99",
        "audio/L16;rate=many",
        "audio/pcmu;rate=",
    ],
)
def test_media_type_without_a_usable_rate_is_refused(media_type: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any message
        declared("", media_type)


def test_stored_media_type_means_the_same() -> None:
    for format in RAW_FORMATS:
        for extension in format.extensions:
            raw = declared(f"call.{extension}", "")
            assert raw
            again = declared("", str(raw))
            assert again
            assert (again.format, again.input_options) == (raw.format, raw.input_options)
