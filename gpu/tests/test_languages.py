"""The written-out list of languages agrees with the engine's own."""

from __future__ import annotations

from faster_whisper.tokenizer import _LANGUAGE_CODES

from gpu.languages import LANGUAGES


def test_the_list_is_that_of_whisper() -> None:
    assert set(LANGUAGES) == set(_LANGUAGE_CODES)


def test_every_language_has_a_name_of_its_own() -> None:
    assert len(set(LANGUAGES.values())) == len(LANGUAGES)
    assert all(name[0].isupper() for name in LANGUAGES.values())
