"""Lines of text in scripts with and without spaces."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriptions.exports.lines import BREAK, breakable, broken
from transcriptions.exports.tests.languages import SENTENCES, spoken_in

WIDTH = 12
CHINESE = "人人生而自由，在尊严和"


def lines(text: str, width: int = WIDTH) -> list[str]:
    return list(broken(text, width, len))


def test_long_emoji_is_not_divided() -> None:
    assert lines("abcd👨\u200d👩efg", 6) == ["abcd", "👨\u200d👩efg"]


def test_lines_are_broken_at_spaces() -> None:
    assert lines("All human beings are born free.") == ["All human", "beings are", "born free."]


def test_chinese_is_broken_between_characters_but_not_before_a_comma() -> None:
    assert lines(CHINESE, 6) == [CHINESE[:5], CHINESE[5:]]


def test_bracket_stays_with_what_it_encloses() -> None:
    assert lines("人人生而「自由」在", 5) == ["人人生而", "「自由」在"]


def test_thai_is_broken_between_words() -> None:
    words = [word.text for word in spoken_in("th")]
    assert breakable(spoken_in("th")).split(BREAK) == words
    assert lines(breakable(spoken_in("th")), 14)[0] == "มนุษย์ทั้งหลาย"


def test_word_that_is_too_long_is_broken_anywhere_but_before_a_mark() -> None:
    assert lines("a" * 30) == ["a" * 12, "a" * 12, "a" * 6]
    for line in lines(SENTENCES["th"], 5):
        assert not unicodedata.category(line[0]).startswith("M")


@pytest.mark.parametrize("language", SENTENCES)
def test_nothing_is_lost_in_any_script(language: str) -> None:
    found = lines(breakable(spoken_in(language)))
    assert all(len(line) <= WIDTH for line in found)
    assert "".join(found).replace(" ", "") == SENTENCES[language].replace(" ", "")


@given(st.text("ab 。，「」(กำ海" + BREAK).map(lambda text: " ".join(text.split())))
def test_every_character_is_kept_in_order(text: str) -> None:
    kept = "".join(lines(text, 4))
    assert kept.replace(" ", "") == text.replace(" ", "").replace(BREAK, "")
    assert all(lines(text, 4))
