"""The list of languages agrees with that of the engine."""

from __future__ import annotations

from faster_whisper.tokenizer import _LANGUAGE_CODES

from gpu.languages import LANGUAGES


def test_languages_equal_those_of_whisper() -> None:
    assert set(LANGUAGES) == set(_LANGUAGE_CODES)


def test_language_names_are_unique() -> None:
    assert len(set(LANGUAGES.values())) == len(LANGUAGES)
    assert all(name[0].isupper() for name in LANGUAGES.values())
