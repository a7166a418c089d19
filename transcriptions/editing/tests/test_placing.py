"""A text in the place of the recognized words: each word once, with plausible times."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriptions.editing.imported import Cue, Imported
from transcriptions.editing.placing import Heard, Placement, place, tokens_of
from transcriptions.editing.rebuilding import draft_of, sentences
from transcriptions.editing.tests.test_matching import LONG, changed, spoken

DURATION = 20.0


def heard(text: str, *, seconds: float = 0.5, pause: float = 0.1) -> list[Heard]:
    """Recognized words, one after another."""
    step = seconds + pause
    return [
        Heard(
            {
                "start": round(n * step, 3),
                "end": round(n * step + seconds, 3),
                "text": token.text,
                "probability": 0.9,
                **({"no_space_before": True} if token.no_space_before else {}),
            },
            "en",
            1,
        )
        for n, token in enumerate(tokens_of(text))
    ]


def placed(words: list[Heard], text: str) -> Placement:
    return place(words, list(tokens_of(text)), 0.0, DURATION)


def times(placement: Placement) -> list[tuple[str, float, float]]:
    return [(each.word["text"], each.word["start"], each.word["end"]) for each in placement.placed]


def counts(placement: Placement) -> tuple[int, int, int, int]:
    return placement.matched, placement.replaced, placement.added, placement.removed


def test_equal_words_keep_times_and_a_replaced_one_gets_those_of_the_other() -> None:
    result = placed(heard("we met jon today"), "We met John today.")
    assert times(result) == [
        ("We", 0.0, 0.5),
        ("met", 0.6, 1.1),
        ("John", 1.2, 1.7),
        ("today.", 1.8, 2.3),
    ]
    assert counts(result) == (3, 1, 0, 0)
    known = [each.word.get("probability") for each in result.placed]
    assert known == [0.9, 0.9, None, 0.9]


def test_added_words_are_spoken_at_a_normal_speed() -> None:
    late = [Heard(each.word | {"start": 10.0, "end": 10.5}) for each in heard("end")]
    result = placed([*heard("begin"), *late], "So we begin a bit of the end here")
    assert times(result) == [
        ("So", 0.0, 0.0),  # nothing is before the first word
        ("we", 0.0, 0.0),
        ("begin", 0.0, 0.5),
        ("a", 0.5, 0.57),
        ("bit", 0.57, 0.78),
        ("of", 0.78, 0.92),
        ("the", 0.92, 1.13),
        ("end", 10.0, 10.5),
        ("here", 10.5, 10.78),
    ]
    assert counts(result) == (2, 0, 7, 0)


def test_added_words_are_spoken_when_their_subtitle_says_so() -> None:
    late = [Heard(each.word | {"start": 10.0, "end": 10.5}) for each in heard("end")]
    cues = [Cue(0.0, 0.5, "begin"), Cue(4.0, 6.0, "Nobody heard"), Cue(9.0, 11.0, "end")]
    tokens = list(Imported(cues, is_timed=True).tokens())
    result = place([*heard("begin"), *late], tokens, 0.0, DURATION)
    assert times(result)[1:3] == [("Nobody", 4.0, 5.091), ("heard", 5.091, 6.0)]


def test_words_that_were_heard_only_are_left_out_and_remembered() -> None:
    result = placed(heard("um we uh met"), "We met")
    assert counts(result) == (2, 0, 0, 2)
    remembered = [[word["text"] for word in each.heard] for each in result.placed]
    assert remembered == [["um", "we", "uh"], ["met"]]
    assert [each.is_edited for each in result.placed] == [True, False]


def test_word_of_several_characters_stays_one_word() -> None:
    words = [
        Heard({"start": 0.0, "end": 1.0, "text": "今天"}, "zh"),
        Heard({"start": 1.0, "end": 2.0, "text": "好。", "no_space_before": True}, "zh"),
    ]
    same = placed(words, "今天好。")
    assert times(same) == [("今天", 0.0, 1.0), ("好。", 1.0, 2.0)]
    assert draft_of(same.placed).text == "今天好。"
    assert draft_of(same.placed).recognized is None
    assert [text for text, *_ in times(placed(words, "今日好。"))] == ["今", "日", "好。"]


def test_channel_and_language_are_those_of_the_replaced_words() -> None:
    words = heard("yes we can no they go")
    words = [
        Heard(each.word | {"channel": n // 3}, ("en", "de")[n // 3], n // 3)
        for n, each in enumerate(words)
    ]
    drafts = list(sentences(placed(words, "Yes we could no they really go").placed))
    assert [(draft.text, draft.language, draft.channel) for draft in drafts] == [
        ("Yes we could", "en", 0),
        ("no they really go", "de", 1),
    ]


def test_nothing_heard_leaves_the_whole_recording_for_the_text() -> None:
    result = placed([], "Two words")
    assert result.matching_share == 1.0
    assert times(result)[-1][2] <= DURATION


WORDS = st.lists(st.sampled_from(["a", "b", "c.", "D", "日", "本", "e"]), max_size=14)


@st.composite
def recordings(draw: Any) -> list[Heard]:
    """Words in order, with times of their own and pauses between them."""
    words, position = [], 0.0
    for text in draw(WORDS):
        start = round(position + draw(st.sampled_from([0.0, 0.1, 1.0])), 3)
        position = round(start + draw(st.sampled_from([0.0, 0.123, 0.4])), 3)
        words.append(Heard({"start": start, "end": position, "text": text}, "en", 1))
    return words


@given(recordings(), WORDS.filter(bool), st.booleans())
def test_every_word_is_placed_once_in_order_and_inside(
    words: list[Heard], text: list[str], is_timed: bool
) -> None:
    cues = [Cue(n * 1.0, n + 1.5, part) for n, part in enumerate(text)]
    imported = Imported(cues if is_timed else [Cue(0, 0, " ".join(text))], is_timed)
    tokens = list(imported.tokens())
    result = place(words, tokens, 0.0, DURATION)
    joined = "".join(each.word["text"] for each in result.placed)
    assert joined == "".join(text)
    edges = [edge for _, start, end in times(result) for edge in (start, end)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= DURATION
    remembered = [word for each in result.placed for word in each.heard]
    assert remembered == [each.word for each in words]
    for each in result.placed:
        if not each.is_edited:
            (was,) = each.heard
            assert (each.word["start"], each.word["end"]) == (was["start"], was["end"])
            assert each.word["text"] == was["text"]
    assert result.matched + result.replaced + result.removed == len(words)
    drafts = list(sentences(result.placed))
    assert [word for draft in drafts for word in draft.words] == [e.word for e in result.placed]


@pytest.mark.slow
def test_three_hours_keep_the_times_of_all_unchanged_words() -> None:
    old = spoken(LONG)
    words = heard(" ".join(old))
    result = place(words, list(tokens_of(" ".join(changed(old, 0.05)))), 0.0, LONG)
    assert result.matched > 0.96 * LONG
    assert result.matched + result.replaced + result.removed == LONG
    edges = [edge for _, start, end in times(result) for edge in (start, end)]
    assert edges == sorted(edges)
    kept = [each for each in result.placed if not each.is_edited]
    assert len(kept) > 0.94 * LONG  # the word before one that is left out counts as changed
    assert all(each.word["start"] == each.heard[0]["start"] for each in kept)
