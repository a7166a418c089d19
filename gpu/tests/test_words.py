"""Tokens become words with the right times: hand-written sequences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.segments import segments_of
from gpu.types import Span, Word
from gpu.words import Timing, WordBuilder, clip_to_speech, in_order

TIMING = Timing(frame=0.08, prefix=1.0, delay=2.5)
PIECES = {4: "▁hello", 5: "▁world", 6: "ly", 7: "▁", 8: "."}
_, PAD = 0, 3


class Pieces:
    """A vocabulary of five pieces."""

    padding = PAD

    def starts_word(self, token: int) -> bool:
        return PIECES[token].startswith("▁")

    def text(self, tokens: list[int]) -> str:
        return "".join(PIECES[token] for token in tokens).replace("▁", " ")


def words_of(tokens: list[int], start: float = 0.0) -> list[Word]:
    builder = WordBuilder(Pieces(), TIMING, start)
    words = [word for token in tokens for word in builder.push(token)]
    return [*words, *builder.finish()]


def at(position: int) -> float:
    """The audio time of a model position."""
    return round((position - 1) * 0.08 - 3.5, 3)


def padded(position: int, *tokens: int) -> list[int]:
    """The tokens, the first of them at `position`."""
    return [PAD] * position + list(tokens)


def test_word_lasts_until_the_next_one_begins() -> None:
    tokens = padded(100, 0, 4, PAD, PAD, PAD, 0, 5, PAD, 0)
    assert words_of(tokens) == [
        Word(at(101), at(105), "hello"),
        Word(at(106), at(108), "world"),
    ]


def test_pending_words_are_those_without_an_end() -> None:
    builder = WordBuilder(Pieces(), TIMING, 0.0)
    for token in padded(100, 0, 4, 6, 5):
        assert not builder.push(token)
    assert [word.text for word in builder.pending()] == ["helloly", "world"]
    assert list(builder.pending()) == list(builder.push(0))
    assert not builder.pending()


def test_pieces_of_a_word_are_joined() -> None:
    assert [w.text for w in words_of(padded(100, 0, 4, 6, 8, PAD, 0))] == ["helloly."]


def test_words_without_padding_between_share_the_time_by_pieces() -> None:
    first, second = words_of(padded(100, 0, 4, 6, 5, PAD, PAD, PAD, 0))
    begin, end = at(101), at(107)
    assert (first.text, second.text) == ("helloly", "world")
    assert first.end == second.start == pytest.approx(begin + (end - begin) * 2 / 3, abs=0.001)
    assert (first.start, second.end) == (begin, end)


def test_last_word_lasts_at_most_one_second() -> None:
    (word,) = words_of(padded(100, 0, 4, *[PAD] * 40))
    assert word.start == at(101)
    assert word.end == pytest.approx(at(101) + 1.0)
    (word,) = words_of(padded(100, 0, 4, PAD, PAD))
    assert word.end == at(104)


def test_word_without_end_of_padding_is_kept() -> None:
    (word,) = words_of(padded(100, 4, PAD, 0))
    assert (word.text, word.start) == ("hello", at(100))


def test_words_do_not_begin_before_the_window() -> None:
    (word,) = words_of([0, 4, PAD, 0], start=30.0)
    assert (word.start, word.end) == (30.0, 30.0)


def test_word_times_include_the_start_of_the_window() -> None:
    (word,) = words_of(padded(100, 0, 4, PAD, 0), start=60.0)
    assert word.start == pytest.approx(60 + at(101))


def test_padding_alone_has_no_words() -> None:
    assert words_of([PAD] * 50 + [0] * 3) == []


def test_word_of_only_spaces_is_dropped() -> None:
    assert words_of(padded(90, 0, 7, PAD, 0)) == []


@given(st.lists(st.sampled_from([0, PAD, PAD, PAD, 4, 5, 6, 8]), max_size=300))
def test_every_piece_is_in_one_word_in_order(tokens: list[int]) -> None:
    words = words_of(tokens)
    spoken = "".join(PIECES[t] for t in tokens if t in PIECES).replace("▁", " ").split()
    assert "".join(word.text for word in words) == "".join(spoken)
    times = [t for word in words for t in (word.start, word.end)]
    assert times == sorted(times)
    segments = list(segments_of(words))
    assert [word for segment in segments for word in segment.words] == words


def test_pause_ends_the_word_before_it() -> None:
    words = [Word(1.0, 6.0, "stop"), Word(6.0, 6.5, "go"), Word(6.5, 12.0, "on")]
    spans = [Span(0.5, 2.0), Span(5.8, 7.0), Span(11.0, 13.0)]
    assert list(clip_to_speech(words, spans)) == [
        Word(1.0, 2.0, "stop"),
        Word(6.0, 6.5, "go"),
        Word(6.5, 7.0, "on"),
    ]


def test_words_outside_speech_keep_their_times() -> None:
    words = [Word(3.0, 3.5, "odd")]
    assert list(clip_to_speech(words, [Span(0.0, 1.0), Span(5.0, 6.0)])) == words
    assert list(clip_to_speech(words, [])) == words


def test_overlapping_words_are_moved_into_order() -> None:
    late = [Word(58.0, 60.34, "one"), Word(60.02, 60.3, "two"), Word(61.0, 61.5, "three")]
    times = [(word.start, word.end) for word in in_order(late)]
    assert times == [(58.0, 60.34), (60.34, 60.34), (61.0, 61.5)]
