"""Words become segments: none is lost or moved, and segments end where sentences end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.segments import (
    LONG_SEGMENT_CHARACTERS,
    LONG_SEGMENT_S,
    MAX_SEGMENT_CHARACTERS,
    MAX_SEGMENT_S,
    SEGMENT_PAUSE_S,
    segments_and_partials,
    segments_of,
)
from gpu.types import Partial, Segment, Word

SECONDS = st.floats(0, 3, allow_nan=False)
TEXTS = st.sampled_from(["one", "two,", "three.", "Dr.", "four?”", "好", "。", "...", "—"])


@st.composite
def speech(draw: st.DrawFn) -> list[Word]:
    """Words as an engine yields them, in order of time."""
    words, now = [], 0.0
    for pause, length, text, no_space_before in draw(
        st.lists(st.tuples(SECONDS, SECONDS, TEXTS, st.booleans()), max_size=60)
    ):
        start = now + pause
        now = start + length
        words.append(Word(start, now, text, no_space_before))
    return words


def spoken_words(text: str, pace: float = 0.3) -> list[Word]:
    """The words of `text`, one each `pace` seconds, without a pause."""
    return [Word(n * pace, (n + 1) * pace, word) for n, word in enumerate(text.split())]


def texts(words: list[Word]) -> list[str]:
    return [segment.text for segment in segments_of(words)]


@given(speech())
def test_every_word_is_in_exactly_one_segment_in_order(words: list[Word]) -> None:
    segments = list(segments_of(words))
    assert [word for segment in segments for word in segment.words] == words
    assert all(segment.words for segment in segments)


@given(speech())
def test_segment_times_are_monotonic(words: list[Word]) -> None:
    segments = list(segments_of(words))
    assert all(segment.start <= segment.end for segment in segments)
    assert all(one.end <= two.start for one, two in pairwise(segments))


@given(speech())
def test_segments_contain_no_pause_and_are_not_too_long(words: list[Word]) -> None:
    for segment in segments_of(words):
        assert all(two.start - one.end < SEGMENT_PAUSE_S for one, two in pairwise(segment.words))
        assert segment.end - segment.start <= MAX_SEGMENT_S
        assert len(segment.text) <= MAX_SEGMENT_CHARACTERS


def test_segment_is_yielded_as_soon_as_the_next_word_is_known() -> None:
    taken: list[str] = []

    def source() -> Iterator[Word]:
        for word in spoken_words("Good morning. I am here. Bye."):
            taken.append(word.text)
            yield word

    segments = segments_of(source())
    assert next(segments).text == "Good morning."
    assert taken == ["Good", "morning.", "I"]


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("It rains. It pours.", ["It rains.", "It pours."]),
        ("Does it? It does! Well… Yes", ["Does it?", "It does!", "Well…", "Yes"]),
        ("Well… yes, he asked “Why?” and left.", None),  # sentences begin with a capital letter
        ("He said “Go.” She went.", ["He said “Go.”", "She went."]),
        ("(So it was.) It is.", ["(So it was.)", "It is."]),
        ("Dr. Smith met Mrs. Jones, i.e. his aunt.", None),
        ("J. S. Bach wrote it.", None),
        ("So did I. He too.", ["So did I.", "He too."]),
        ("It costs 3.50 at example.com today.", None),
        ("one, two; three: four", None),
    ],
)
def test_segments_end_with_sentences(text: str, segments: list[str] | None) -> None:
    assert texts(spoken_words(text)) == (segments or [text])


def test_pause_ends_a_segment_whatever_the_punctuation() -> None:
    words = [Word(0, 1, "and"), Word(1 + SEGMENT_PAUSE_S, 3, "then"), Word(3.5, 4, "nothing")]
    assert texts(words) == ["and", "then nothing"]


def test_comma_ends_only_a_long_segment() -> None:
    words = spoken_words("word " * 9 + "comma, " + "word " * 15 + "comma, word word.", pace=0.5)
    assert [segment.words[-1].text for segment in segments_of(words)] == ["comma,", "word."]
    assert next(segments_of(words)).end > LONG_SEGMENT_S


def test_short_pause_ends_a_long_segment() -> None:
    words = spoken_words("word " * 30, pace=0.5)
    late = [Word(w.start + 15.4, w.end + 15.4, w.text) for w in spoken_words("word " * 5)]
    assert [len(segment.words) for segment in segments_of(words + late)] == [30, 5]


def test_comma_ends_a_segment_of_many_characters() -> None:
    words = spoken_words("word " * 10 + "comma, " + "word " * 20 + "comma, word word.", pace=0.1)
    assert [segment.words[-1].text for segment in segments_of(words)] == ["comma,", "word."]
    assert len(next(segments_of(words)).text) > LONG_SEGMENT_CHARACTERS


@pytest.mark.parametrize(("pace", "count"), [(0.6, 7), (0.3, 5)])
def test_text_without_punctuation_is_cut_at_the_maximum_length(pace: float, count: int) -> None:
    segments = list(segments_of(spoken_words("word " * 200, pace)))
    assert max(segment.end - segment.start for segment in segments) <= MAX_SEGMENT_S
    assert max(len(segment.text) for segment in segments) <= MAX_SEGMENT_CHARACTERS
    assert len(segments) == count


def test_script_without_spaces_is_cut_at_the_maximum_length() -> None:
    words = [Word(n / 20, (n + 1) / 20, "好", no_space_before=True) for n in range(500)]
    segments = list(segments_of(words))
    assert [len(segment.text) for segment in segments] == [200, 200, 100]
    assert [segment.start for segment in segments] == [0, 10, 20]


def test_word_longer_than_a_segment_is_divided() -> None:
    """Khmer has no spaces: a whole paragraph can be one word of the model."""
    segments = list(segments_of([Word(1, 11, "ខ" * 500), Word(11, 12, "next")]))
    assert [len(segment.text) for segment in segments] == [200, 200, 105]
    assert [s.end for s in segments] == [pytest.approx(13 / 3), pytest.approx(23 / 3), 12]
    assert [segment.words[0].no_space_before for segment in segments] == [False, True, True]


def test_endless_word_ends_at_the_maximum_length() -> None:
    (segment,) = segments_of([Word(1, 60, "om")])
    assert (segment.start, segment.end) == (1, 21)


def test_chinese_has_no_spaces_and_its_full_stops_end_segments() -> None:
    characters = "早上好。我在海边。"
    words = [Word(n, n + 1, c, no_space_before=True) for n, c in enumerate(characters)]
    assert texts(words) == ["早上好。", "我在海边。"]


def test_word_with_no_space_before_is_joined() -> None:
    segment = Segment(
        (Word(0, 1, "It"), Word(1, 2, "'s", no_space_before=True), Word(2, 3, "here"))
    )
    assert segment.text == "It's here"


@given(speech())
def test_partials_grow_into_their_segment(words: list[Word]) -> None:
    growing: list[Word] = []
    for part in segments_and_partials(words):
        if isinstance(part, Partial):
            assert list(part.words[:-1]) == growing
            growing = list(part.words)
        else:
            assert list(part.words) == growing
            growing = []
    assert growing == []
