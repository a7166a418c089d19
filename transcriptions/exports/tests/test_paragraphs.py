"""Paragraphs: found where an author starts them, and never too long or too short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate, groupby, pairwise
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriptions.exports.paragraphs import (
    MAX_LENGTH,
    MAX_SENTENCES,
    MIN_SENTENCES,
    Sentence,
    paragraphs,
    sentences,
)
from transcriptions.exports.tests.talk import GERMAN_TALK, TALK, spoken, text_paragraphs
from transcriptions.exports.transcript import TimedWord, join_words

SEEDS = range(5)  # of the pauses


def said(text: str, *, speaker: str = "", start: float = 0.0) -> list[TimedWord]:
    """Words of 0.4 s each, without pauses."""
    return [
        TimedWord(start + 0.4 * n, start + 0.4 * (n + 1), word, speaker=speaker)
        for n, word in enumerate(text.split())
    ]


# --- Where an author starts them ------------------------------------------------------------------


def starts(groups: Iterable[Sequence[TimedWord]]) -> list[int]:
    """The numbers of the sentences that start a paragraph, except the first."""
    counts = [len(list(sentences(words))) for words in groups]
    return list(accumulate(counts))[:-1]


def agreement(found: list[int], expected: list[int]) -> float:
    """F1 of the starts that are at most one sentence apart."""

    def share(of: list[int], among: list[int]) -> float:
        return fmean(any(abs(a - b) <= 1 for b in among) for a in of)

    precision, recall = share(found, expected), share(expected, found)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def longest_pauses(words: Sequence[TimedWord], count: int) -> list[int]:
    """The sentences before which the speaker pauses most."""
    pauses = [b.words[0].start - a.words[-1].end for a, b in pairwise(sentences(words))]
    return sorted(sorted(range(1, len(pauses) + 1), key=lambda n: -pauses[n - 1])[:count])


@pytest.mark.parametrize(("text", "language"), [(TALK, "en"), (GERMAN_TALK, "de")])
def test_paragraphs_start_where_the_author_starts_them(text: str, language: str) -> None:
    talk = text_paragraphs(text)
    expected = starts([[TimedWord(0, 1, word) for word in words] for words in talk])
    count = len(list(sentences(spoken(talk))))
    equal = [round(count * n / len(talk)) for n in range(1, len(talk))]
    ours, by_pause = list[float](), list[float]()
    for seed in SEEDS:
        words = list(spoken(talk, seed=seed))
        found = starts([paragraph.words for paragraph in paragraphs(words, language)])
        ours.append(agreement(found, expected))
        by_pause.append(agreement(longest_pauses(words, len(expected)), expected))
    assert fmean(ours) > 0.85
    assert fmean(ours) > fmean(by_pause) + 0.15
    assert fmean(ours) > agreement(equal, expected) + 0.05


def test_change_of_speaker_starts_a_paragraph_even_for_a_word() -> None:
    words = [
        *said("I was there. I saw it. It was red.", speaker="Ann"),
        *said("Red?", speaker="Ben", start=5),
        *said("As red as wine. I swear.", speaker="Ann", start=6),
    ]
    found = [(paragraph.speaker, paragraph.text) for paragraph in paragraphs(words)]
    assert found == [
        ("Ann", "I was there. I saw it. It was red."),
        ("Ben", "Red?"),
        ("Ann", "As red as wine. I swear."),
    ]


def test_long_pause_starts_a_paragraph() -> None:
    sentence = "We walked along the old road to the village that nobody knew. "
    before, after = said(sentence * 4), said(sentence * 4, start=30)
    assert [p.start for p in paragraphs([*before, *after])] == [0.0, 30.0]


def test_recording_without_punctuation_is_divided_at_pauses() -> None:
    words = [word for n in range(60) for word in said("and so we went on", start=3 * n)]
    found = paragraphs(words)
    assert len(found) > 1
    assert {p.words[-1].text for p in found} == {"on"}


def test_chinese_is_divided_too() -> None:
    text = "我们昨天去了海边的村庄。" * 100
    words = [
        TimedWord(n, n + 0.5, char, no_space_before=n > 0 and char != "。")
        for n, char in enumerate(text)
    ]
    found = paragraphs(words, "zh")
    assert all(MIN_SENTENCES <= p.text.count("。") <= MAX_SENTENCES for p in found)
    assert all(2 * len(p.text) <= MAX_LENGTH * 1.1 for p in found)


def test_no_words_are_no_paragraphs() -> None:
    assert paragraphs([]) == []


# --- Of any words ---------------------------------------------------------------------------------

texts = st.one_of(
    st.sampled_from(
        ["so", "we", "went", "there.", "Then", "he", "left.", "Why?", "well,", "海", "。"]
    ),
    st.text("abcdefghij", min_size=1, max_size=400),
)


@st.composite
def recordings(draw: st.DrawFn) -> list[TimedWord]:
    words, time = list[TimedWord](), 0.0
    for _ in range(draw(st.integers(0, 8))):
        speaker = draw(st.sampled_from(["", "Ann", "Ben"]))
        for text in draw(st.lists(texts, min_size=1, max_size=60)):
            time += draw(st.sampled_from([0.0, 0.1, 0.5, 3.0]))
            words.append(TimedWord(time, time + 0.2, text, text in "海。", speaker))
            time += 0.2
    return words


def can_keep_limits(turn: list[Sentence]) -> bool:
    """Whether a turn can be divided into paragraphs that are neither too short nor too long."""

    @cache
    def possible(start: int) -> bool:
        rest = len(turn) - start
        return rest == 0 or any(
            sum(sentence.length for sentence in turn[start : start + count]) <= MAX_LENGTH
            and possible(start + count)
            for count in range(MIN_SENTENCES, min(MAX_SENTENCES, rest) + 1)
        )

    return possible(0)


@given(recordings())
def test_every_word_is_in_one_paragraph_in_order(words: list[TimedWord]) -> None:
    found = paragraphs(words)
    assert [word for paragraph in found for word in paragraph.words] == words
    assert all(len({word.speaker for word in p.words}) == 1 for p in found)


def turns_and_counts(words: list[TimedWord]) -> Iterator[tuple[list[Sentence], list[int]]]:
    """The sentences of each turn, and how many of them each of its paragraphs has."""
    ends = {paragraph.words[-1] for paragraph in paragraphs(words)}
    for _, words_of_turn in groupby(words, key=lambda word: word.speaker):
        turn = list(sentences(words_of_turn))
        numbers = [number for number, sentence in enumerate(turn, 1) if sentence.words[-1] in ends]
        yield turn, [last - first for first, last in pairwise([0, *numbers])]


@given(recordings())
def test_no_paragraph_is_too_long(words: list[TimedWord]) -> None:
    for paragraph in paragraphs(words):
        assert len(paragraph.text) <= MAX_LENGTH or len(paragraph.words) == 1
    for turn, counts in turns_and_counts(words):
        assert sum(counts) == len(turn)
        assert max(counts) <= MAX_SENTENCES


@given(recordings())
def test_no_paragraph_is_too_short_if_that_can_be(words: list[TimedWord]) -> None:
    for turn, counts in turns_and_counts(words):
        assert min(counts) >= MIN_SENTENCES or not can_keep_limits(turn)


def test_sentence_that_refers_to_the_one_before_does_not_start_a_paragraph() -> None:
    before = (
        "A friendly fisherman waved at me from his boat. The night had been calm and all of his "
        "nets were full. Then he smiled and gave me a little fish for my cat at home."
    )
    after = (
        "Around the corner, a woman was building a bright tower of oranges. I asked her how she "
        "kept it from falling down. The only trick is to go slowly."
    )
    words = list[TimedWord]()
    for pause, text in ((0, before), (1.4, "She is going to be very happy."), (1.2, after)):
        words += said(text, start=words[-1].end + pause if words else 0)
    assert [p.text.split()[0] for p in paragraphs(words, "en")] == ["A", "Around"]


def test_paragraphs_of_the_page_are_kept() -> None:
    first, second = said("It rained. We stayed. " * 40), said("Then we left. " * 40, start=200.0)
    assert len(paragraph_texts([*first, *second])) > 2
    second[0] = replace(second[0], begins_paragraph=True)
    assert len(paragraph_texts([*first, *second])) == 2
    second[0] = replace(second[0], begins_paragraph=False)
    assert len(paragraph_texts([*first, *second])) == 1


def paragraph_texts(words: Sequence[TimedWord]) -> list[str]:
    return [join_words(paragraph.words) for paragraph in paragraphs(words)]
