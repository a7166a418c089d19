"""How words become cues."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest

from transcriptions.exports.cues import Cue
from transcriptions.exports.norms import violations
from transcriptions.exports.profiles import PROFILES
from transcriptions.exports.shaping import shape
from transcriptions.exports.tests.spoken import conversation, spoken, unspaced
from transcriptions.exports.transcript import TimedWord

NETFLIX = PROFILES["netflix"]
STORY = (
    "When the harbor pilot came aboard in the morning, he said that the fog would lift before "
    "noon, and that nobody should worry. Dr. Anna Miller and her brother John Smith had been "
    "waiting on the pier since six o'clock, with a thermos of coffee and a bag of rolls from the "
    "bakery around the corner. In the end they left at a quarter past eleven."
)


def lines(cues: list[Cue]) -> list[str]:
    return [line for cue in cues for line in cue.text.split("\n")]


def test_story_is_broken_where_a_person_would_break_it() -> None:
    cues = shape(spoken(STORY, pauses={"worry.": 0.4, "corner.": 0.6}), NETFLIX, language="en")
    assert [cue.text for cue in cues] == [
        "When the harbor pilot came aboard\nin the morning, he said",
        "that the fog would lift before noon,\nand that nobody should worry.",
        "Dr. Anna Miller and her brother\nJohn Smith had been waiting on the pier",
        "since six o'clock, with a thermos\nof coffee and a bag of rolls",
        "from the bakery around the corner.",
        "In the end they left\nat a quarter past eleven.",
    ]
    assert not any(violations(cues, NETFLIX, language="en"))


@pytest.mark.parametrize("name", PROFILES)
def test_no_line_ends_with_an_article_or_within_a_name(name: str) -> None:
    shaped = lines(shape(spoken(STORY), PROFILES[name], language="en"))
    assert not [line for line in shaped if line.endswith((" the", " a", "Anna", "John", "Dr."))]


def test_german_articles_and_prepositions() -> None:
    text = (
        "Der Vertrag mit dem neuen Betreiber des Hafens wurde gestern in der kleinen Stadt an der "
        "Küste von allen Beteiligten unterschrieben, obwohl einige noch Fragen hatten."
    )
    for line in lines(shape(spoken(text), NETFLIX, language="de")):
        assert line.split()[-1] not in {"der", "dem", "des", "mit", "in", "an", "von", "obwohl"}


def test_one_line_if_it_fits() -> None:
    (cue,) = shape(spoken("I am walking along the harbor now."), NETFLIX, language="en")
    assert cue.text == "I am walking along the harbor now."


def test_every_word_is_kept_in_order() -> None:
    words = spoken(STORY)
    for profile in PROFILES.values():
        shaped = [word for cue in shape(words, profile, language="en") for word in cue.words]
        assert shaped == words


# --- times


def test_cue_stays_half_a_second_where_there_is_room() -> None:
    words = spoken("I am walking along the harbor.", start=1.0)
    (cue,) = shape(words, NETFLIX)
    assert cue.start == 1.0
    assert cue.end == pytest.approx(words[-1].end + 0.5, abs=0.001)


def test_short_word_is_shown_five_sixths_of_a_second() -> None:
    (cue,) = shape([TimedWord(2.0, 2.2, "Yes.")], NETFLIX)
    assert cue.end - cue.start == pytest.approx(0.834)


def test_short_gaps_are_closed_to_two_frames() -> None:
    first = spoken("I am walking along the harbor.")
    second = spoken("You are walking along the river.", start=first[-1].end + 0.3)
    profile = replace(NETFLIX, split_sentences=True)
    one, two = shape(first + second, profile)
    assert two.start == second[0].start
    assert two.start - one.end == pytest.approx(0.084)


def test_cue_after_a_word_without_a_pause_starts_two_frames_later() -> None:
    first = spoken("I am walking along the harbor.")
    second = spoken("You are walking along the river.", start=first[-1].end)
    one, two = shape(first + second, replace(NETFLIX, split_sentences=True))
    assert one.end == first[-1].end
    assert two.start == pytest.approx(first[-1].end + 0.084)


def test_times_are_multiples_of_a_frame() -> None:
    cues = shape(spoken(STORY, start=0.37), NETFLIX, language="en", frame_rate=25)
    for time in (time for cue in cues for time in (cue.start, cue.end)):
        assert time * 25 == pytest.approx(round(time * 25))
    assert not any(violations(cues, NETFLIX, language="en", frame_rate=25))


def test_lead_in_of_a_profile() -> None:
    (cue,) = shape(spoken("Good morning, everybody.", start=2.0), replace(NETFLIX, lead_in=0.2))
    assert cue.start == pytest.approx(1.8)
    (cue,) = shape(spoken("Good morning, everybody.", start=0.1), replace(NETFLIX, lead_in=0.2))
    assert cue.start == 0.0


def test_long_pause_divides_a_sentence() -> None:
    words = spoken("I am walking along the harbor.", pauses={"walking": 4.0})
    assert [cue.text for cue in shape(words, NETFLIX)] == ["I am walking", "along the harbor."]


def test_verbatim_has_the_times_of_the_words() -> None:
    words = spoken(STORY)
    for cue in shape(words, PROFILES["verbatim"], language="en"):
        assert (cue.start, cue.end) == (cue.words[0].start, cue.words[-1].end)


# --- speakers


def test_short_turns_share_a_cue_with_a_mark_for_each() -> None:
    (cue,) = shape(conversation(("Ann", "Is it raining?"), ("Ben", "Not yet.")), NETFLIX)
    assert cue.text == "-Is it raining?\n-Not yet."
    assert [line.speaker for line in cue.lines] == ["Ann", "Ben"]


def test_cue_never_has_more_than_two_turns() -> None:
    turns = [("Ann", "Yes."), ("Ben", "No."), ("Ann", "Why?"), ("Ben", "Because."), ("Ann", "Oh.")]
    for cue in shape(conversation(*turns), NETFLIX):
        assert len(cue.lines) <= 2
        assert len({word.speaker for line in cue.lines for word in line.words}) == len(cue.lines)


@pytest.mark.parametrize(
    "profile", [PROFILES["social"], replace(NETFLIX, two_speakers=False)], ids=["social", "own"]
)
def test_speakers_are_apart_where_a_profile_wants_it(profile: object) -> None:
    turns = conversation(("Ann", "Is it raining?"), ("Ben", "Not yet."))
    assert [cue.text for cue in shape(turns, profile)] == ["Is it raining?", "Not yet."]  # type: ignore[arg-type]


# --- scripts


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        (
            "ja",
            "今日は天気がとても良いので、港まで散歩に行きましょう。",
            ["今日は天気がとても良いので、", "港まで散歩に行きましょう。"],
        ),
        (
            "zh",
            "今天天气非常好，我们去港口散步吧。然后我和朋友一起喝了咖啡，一直聊到傍晚。",
            [
                "今天天气非常好，",
                "我们去港口散步吧。",
                "然后我和朋友一起喝了咖啡，",
                "一直聊到傍晚。",
            ],
        ),
    ],
)
def test_lines_of_16_characters_in_chinese_and_japanese(
    language: str, text: str, expected: list[str]
) -> None:
    assert lines(shape(unspaced(text), NETFLIX, language=language)) == expected
    whole = [TimedWord(0, len(text) / 5, text)]  # some models give one word for a sentence
    assert lines(shape(whole, NETFLIX, language=language)) == expected


def test_thai_is_broken_between_words() -> None:
    parts = [
        "วันนี้",
        "อากาศ",
        "ดี",
        "มาก",
        "เรา",
        "ไป",
        "เดิน",
        "เล่น",
        "ที่",
        "ท่า",
        "เรือ",
        "กัน",
        "เถอะ",
        "แล้ว",
        "ก็",
    ]
    text = "".join(parts)
    cues = shape([TimedWord(0, 6, text)], replace(NETFLIX, max_line_chars=20), language="th")
    assert "".join(lines(cues)) == text
    ends = list(accumulate(map(len, lines(cues))))
    assert len(ends) > 1
    assert set(ends) <= set(accumulate(map(len, parts)))


def test_korean_lines_have_at_most_16_characters() -> None:
    text = (
        "오늘은 날씨가 매우 좋으니 항구까지 산책을 가자고 친구가 말했지만 나는 집에서 책을 읽었다"
    )
    cues = shape(spoken(text, chars_per_second=6), NETFLIX, language="ko")
    for line in lines(cues):
        assert len(line.replace(" ", "")) <= 16


def test_word_that_is_longer_than_a_line_stays_whole_and_is_reported() -> None:
    word = "Donaudampfschifffahrtsgesellschaftskapitänsmütze"
    cues = shape(spoken(f"Die {word} liegt hier.", chars_per_second=12), NETFLIX, language="de")
    assert word in lines(cues)
    assert {v.norm for found in violations(cues, NETFLIX) for v in found} == {"line_length"}


def test_no_words_no_cues() -> None:
    assert shape([], NETFLIX) == []
    assert shape([TimedWord(0, 1, " ")], NETFLIX) == []
