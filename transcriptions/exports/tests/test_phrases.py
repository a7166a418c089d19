"""Where a text may be broken."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest

from transcriptions.exports.phrases import FORBIDDEN, break_costs, divided_words
from transcriptions.exports.tests.spoken import conversation, spoken, texts, unspaced
from transcriptions.exports.transcript import TimedWord


def costs(text: str, language: str = "en") -> dict[str, float]:
    """The cost of a break after each word."""
    words = spoken(text)
    return dict(zip(texts(words), break_costs(words, language, keep_phrases=True), strict=True))


@pytest.mark.parametrize(
    ("language", "text", "better", "worse"),
    [
        ("en", "He saw the dog and left.", "dog", "the"),
        ("en", "He saw the dog and left.", "dog", "and"),
        ("en", "Well, we know that.", "Well,", "we"),
        ("en", "We met Anna Miller here.", "met", "Anna"),
        ("en", "It was Dr. Miller again.", "Miller", "Dr."),
        ("en", "They sold 26 boats yesterday.", "boats", "26"),
        ("en", "It's November 26 again.", "26", "November"),
        ("en", "It’s true. We know.", "true.", "It’s"),
        ("de", "Wir fahren mit der Bahn heim.", "fahren", "der"),
        ("fr", "Je parle avec la voisine.", "parle", "la"),
        ("es", "Vamos a la playa hoy.", "playa", "la"),
        ("it", "Parliamo con gli amici oggi.", "amici", "gli"),
        ("pt", "Falamos com os amigos hoje.", "amigos", "os"),
        ("nl", "Wij gaan met de trein mee.", "gaan", "de"),
        ("ru", "Мы говорили с соседкой вчера.", "говорили", "с"),
        ("pl", "Rozmawiamy o tej sprawie dzisiaj.", "Rozmawiamy", "o"),
        ("no", "Vi går til stranden nå.", "stranden", "til"),
        ("nb", "Vi går til stranden nå.", "stranden", "til"),
    ],
)
def test_break_is_cheaper_between_phrases(
    language: str, text: str, better: str, worse: str
) -> None:
    found = costs(text, language)
    assert found[better] < found[worse]


def test_two_capitals_are_a_name_only_where_nouns_have_none() -> None:
    text = "sagte Frau Hafen Boot gestern"
    assert costs(text, "de")["Hafen"] < costs(text, "en")["Hafen"]


def test_pause_makes_a_break_good() -> None:
    hesitation = spoken("I saw the dog", pauses={"the": 1.0})
    assert break_costs(hesitation, "en", keep_phrases=True)[2] < costs("I saw the dog")["the"]


def test_change_of_speaker_is_the_best_break() -> None:
    words = conversation(("Ann", "Well the"), ("Ben", "dog"))
    assert break_costs(words, "en", keep_phrases=True)[1] == 0


def test_profile_can_do_without_phrases() -> None:
    words = spoken("He saw the dog. We left, too.")
    assert break_costs(words, "en", keep_phrases=False) == [1, 1, 1, 0, 1, 0.25, 0]


def test_no_line_begins_with_small_kana_or_a_closing_bracket() -> None:
    words = [TimedWord(0, 1, "カ"), TimedWord(1, 2, "ッ", no_space_before=True)]
    assert break_costs(words, "ja", keep_phrases=True)[0] == FORBIDDEN
    words = [TimedWord(0, 1, "「"), TimedWord(1, 2, "港", no_space_before=True)]
    assert break_costs(words, "ja", keep_phrases=False)[0] == FORBIDDEN


@pytest.mark.parametrize(
    "text", ["今日は天気がとても良いので港まで", "ที่ท่าเรือกันเถอะแล้วก็กลับบ้าน", "港" * 40]
)
def test_long_words_without_spaces_are_divided_and_share_the_time(text: str) -> None:
    parts = divided_words([TimedWord(2.0, 6.0, text, no_space_before=False)], "")
    assert "".join(texts(parts)) == text
    assert len(parts) > 1
    assert max(map(len, texts(parts))) <= 10
    assert [part.no_space_before for part in parts] == [False] + [True] * (len(parts) - 1)
    assert (parts[0].start, parts[-1].end) == (2.0, 6.0)
    assert all(one.end == two.start for one, two in pairwise(parts))


FAMILY = "👨\u200d👩\u200d👧\u200d👦"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ဟင", "်းသီး"),
        ("\u1019\u1039", "မ"),
        ("ត្រីសម\u17d2", "រាប់"),
        ("👨\u200d", "👩"),
        ("👨", "\u200d👩"),
        ("❤", "\ufe0f"),
        ("1", "\u20e3"),
        ("👍", "\U0001f3fd"),
        ("🏴", "\U000e0067"),
        ("🇯🇵🇩", "🇪"),
    ],
)
def test_no_break_within_a_syllable_or_an_emoji(before: str, after: str) -> None:
    words = [TimedWord(0, 1, before), TimedWord(1, 2, after, no_space_before=True)]
    assert break_costs(words, "ja", keep_phrases=True)[0] == FORBIDDEN


def test_break_between_two_flags() -> None:
    words = [TimedWord(0, 1, "🇯🇵"), TimedWord(1, 2, "🇩🇪", no_space_before=True)]
    assert break_costs(words, "ja", keep_phrases=True)[0] < FORBIDDEN


@pytest.mark.parametrize(
    "text", [f"家族です{FAMILY}", f"家族{FAMILY * 3}です", "ត្រីសម្រាប់លក់នៅផ្សារ" * 3]
)
def test_parts_of_a_long_word_have_whole_characters(text: str) -> None:
    parts = texts(divided_words([TimedWord(0, 3, text)], ""))
    assert "".join(parts) == text
    assert len(parts) > 1 or FAMILY in parts[0]
    for one, two in pairwise(parts):
        assert one[-1] not in "\u200d\u17d2"
        assert two[0] != "\u200d"
        assert not unicodedata.category(two[0]).startswith("M")


def test_phrases_of_single_characters() -> None:
    words = unspaced("今日は天気がとても良い", chars_per_second=5)
    found = break_costs(words, "ja", keep_phrases=True)
    assert found[2] < found[1]  # after は, not within 今日は
