"""Words into segments: nothing lost, nothing moved, and an end where a reader expects one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.segments import LONG, LONGEST, PAUSE, growing_segments, segments_of
from gpu.types import Partial, Segment, Word

SECONDS = st.floats(0, 3, allow_nan=False)
TEXTS = st.sampled_from(["one", "two,", "three.", "Dr.", "four?”", "好", "。", "...", "—"])


@st.composite
def speech(draw: st.DrawFn) -> list[Word]:
    """Words as an engine says them: their times never step back."""
    words, now = [], 0.0
    for pause, length, text, glued in draw(
        st.lists(st.tuples(SECONDS, SECONDS, TEXTS, st.booleans()), max_size=60)
    ):
        start = now + pause
        now = start + length
        words.append(Word(start, now, text, glued))
    return words


def said(text: str, pace: float = 0.3) -> list[Word]:
    """The words of `text`, one each `pace` seconds, without a pause."""
    return [Word(n * pace, (n + 1) * pace, word) for n, word in enumerate(text.split())]


def texts(words: list[Word]) -> list[str]:
    return [segment.text for segment in segments_of(words)]


@given(speech())
def test_every_word_is_in_exactly_one_segment_and_in_order(words: list[Word]) -> None:
    segments = list(segments_of(words))
    assert [word for segment in segments for word in segment.words] == words
    assert all(segment.words for segment in segments)


@given(speech())
def test_times_never_step_back(words: list[Word]) -> None:
    segments = list(segments_of(words))
    assert all(segment.start <= segment.end for segment in segments)
    assert all(one.end <= two.start for one, two in pairwise(segments))


@given(speech())
def test_no_segment_holds_a_pause_or_grows_too_long(words: list[Word]) -> None:
    for segment in segments_of(words):
        assert all(two.start - one.end < PAUSE for one, two in pairwise(segment.words))
        assert len(segment.words) == 1 or segment.end - segment.start <= LONGEST


def test_a_segment_is_given_as_soon_as_the_next_word_is_known() -> None:
    taken: list[str] = []

    def spoken() -> Iterator[Word]:
        for word in said("Good morning. I am here. Bye."):
            taken.append(word.text)
            yield word

    segments = segments_of(spoken())
    assert next(segments).text == "Good morning."
    assert taken == ["Good", "morning.", "I"]


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("It rains. It pours.", ["It rains.", "It pours."]),
        ("Does it? It does! Well… Yes", ["Does it?", "It does!", "Well…", "Yes"]),
        ("Well… yes, he asked “Why?” and left.", None),  # a sentence does not begin small
        ("He said “Go.” She went.", ["He said “Go.”", "She went."]),
        ("(So it was.) It is.", ["(So it was.)", "It is."]),
        ("Dr. Smith met Mrs. Jones, i.e. his aunt.", None),
        ("J. S. Bach wrote it.", None),
        ("So did I. He too.", ["So did I.", "He too."]),
        ("It costs 3.50 at example.com today.", None),
        ("one, two; three: four", None),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, segments: list[str] | None) -> None:
    assert texts(said(text)) == (segments or [text])


def test_a_pause_ends_a_segment_whatever_the_punctuation() -> None:
    words = [Word(0, 1, "and"), Word(1 + PAUSE, 3, "then"), Word(3.5, 4, "nothing")]
    assert texts(words) == ["and", "then nothing"]


def test_a_long_sentence_ends_at_a_comma_and_a_short_one_does_not() -> None:
    words = said("word " * 20 + "comma, " + "word " * 30 + "comma, word word.")
    assert [segment.words[-1].text for segment in segments_of(words)] == ["comma,", "word."]
    assert next(segments_of(words)).end > LONG


def test_a_long_sentence_ends_at_a_breath() -> None:
    words = said("word " * 45)
    late = [Word(w.start + 0.4, w.end + 0.4, w.text) for w in said("word " * 50)[45:]]
    assert [len(segment.words) for segment in segments_of(words + late)] == [45, 5]


def test_words_without_any_punctuation_are_cut_all_the_same() -> None:
    segments = list(segments_of(said("word " * 200)))
    assert max(segment.end - segment.start for segment in segments) <= LONGEST
    assert len(segments) == 4


def test_chinese_is_written_without_spaces_and_its_stops_are_stops() -> None:
    characters = "早上好。我在海边。"
    words = [Word(n, n + 1, c, glued=True) for n, c in enumerate(characters)]
    assert texts(words) == ["早上好。", "我在海边。"]


def test_a_glued_word_follows_without_a_space() -> None:
    segment = Segment((Word(0, 1, "It"), Word(1, 2, "'s", glued=True), Word(2, 3, "here")))
    assert segment.text == "It's here"


@given(speech())
def test_early_words_grow_into_the_segment_that_replaces_them(words: list[Word]) -> None:
    growing: list[Word] = []
    for part in growing_segments(words):
        if isinstance(part, Partial):
            assert list(part.words[:-1]) == growing
            growing = list(part.words)
        else:
            assert list(part.words) == growing
            growing = []
    assert growing == []
