"""The list of languages agrees with that of the engine, and what users write is understood."""

from __future__ import annotations

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES
from transformers.models.whisper.tokenization_whisper import LANGUAGES as WHISPER_LANGUAGES
from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

from gpu.languages import LANGUAGES, language_code, whisper_name


def test_languages_equal_those_of_whisper() -> None:
    assert set(LANGUAGES) == set(_LANGUAGE_CODES)


def test_language_names_are_unique() -> None:
    assert len(set(LANGUAGES.values())) == len(LANGUAGES)
    assert all(name[0].isupper() for name in LANGUAGES.values())


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nb", "no"),
        ("nb-NO", "no"),
        ("nob", "no"),
        ("nn-NO", "nn"),
        ("fil", "tl"),
        ("iw", "he"),
        ("jv", "jw"),
        ("jw", "jw"),
        ("jav", "jw"),
        ("cmn", "zh"),
        ("cmn-Hans-CN", "zh"),
        ("zh-yue", "yue"),
        ("zh_CN", "zh"),
        ("zh-Hant-TW", "zh"),
        ("en_US", "en"),
        ("EN-us", "en"),
        ("eng", "en"),
        ("ger", "de"),
        ("deu", "de"),
        ("pt-BR", "pt"),
        (" english\n", "en"),
        ("English", "en"),
        ("Chinese (Simplified)", "zh"),
        ("Mandarin", "zh"),
        ("Norwegian Bokmål", "no"),
        ("Māori", "mi"),
        ("MAORI", "mi"),
    ],
)
def test_language_is_understood(name: str, code: str) -> None:
    assert language_code(name) == code


@pytest.mark.parametrize("name", ["", "-", "xx", "xx-US", "klingon", "e", "en2", "tlh", "\0"])
def test_unknown_language_is_none(name: str) -> None:
    assert language_code(name) is None


def test_every_name_of_ours_and_of_whisper_is_understood() -> None:
    for code, name in LANGUAGES.items():
        assert {language_code(each) for each in (code, name, whisper_name(code))} == {code}
    for name, code in TO_LANGUAGE_CODE.items():
        assert language_code(name) == code


def test_names_in_answers_are_those_of_whisper() -> None:
    assert {code: whisper_name(code) for code in LANGUAGES} == WHISPER_LANGUAGES
