"""The languages of Kyutai STT, which its configuration does not state: only its name does."""

from __future__ import annotations

import re

from gpu.languages import LANGUAGES
from gpu.types import Audio, LiveAudio, UnsupportedLanguage, UnsupportedTask

DEFAULT = ("en",)
# `stt-1b-en_fr-trfs`, `stt-2.6b-en`
NAME = re.compile(r"stt-[\d.]+b-([a-z]{2}(?:_[a-z]{2})*)(?:-|$)")


def model_name(source: str) -> str:
    """The last part of a Hub id or of a folder."""
    return source.rstrip("/").rsplit("/", 1)[-1]


def languages_of(source: str) -> tuple[str, ...]:
    """The codes of the languages that a checkpoint transcribes."""
    found = NAME.match(model_name(source))
    return tuple(found[1].split("_")) if found else DEFAULT


def chosen_language(source: str, audio: Audio | LiveAudio) -> str:
    """The language to state for this audio. The model itself recognizes which language is spoken.

    Raises UnsupportedLanguage if only others are requested, and UnsupportedTask.
    """
    requested = (audio.language,) if audio.language else audio.options.languages
    languages = languages_of(source)
    possible = [code for code in languages if code in requested or not requested]
    if not possible:
        names = " and ".join(LANGUAGES.get(code, code) for code in languages)
        raise UnsupportedLanguage(
            f"{model_name(source)} supports only {names}, not {', '.join(requested)}"
        )
    if audio.options.translate:
        raise UnsupportedTask(f"{model_name(source)} cannot translate")
    return possible[0]
