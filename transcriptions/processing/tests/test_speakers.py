"""Each word gets the speaker of its turn, and segments are divided where the speaker changes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.diarization.types import Turn
from gpu.types import Decoding, Segment, Span, Word
from transcriptions.processing.speakers import ChannelSpeakers, TurnSpeakers, by_speaker

SPANS = (Span(0.0, 5.0), Span(5.2, 8.0))
TURNS = (Turn(0.5, 2.0, 1), Turn(2.0, 4.0, 2), Turn(5.2, 8.0, 3))
DECODING = Decoding(-0.1, 0.0, 1.0)


@dataclass
class Scripted:
    """The speakers by the start of the words, or the same one for all."""

    speakers: dict[int, int | None] | int | None

    def __call__(self, word: Word) -> int | None:
        if isinstance(self.speakers, dict):
            return self.speakers[int(word.start)]
        return self.speakers

    def has_overlap(self, word: Word) -> bool:
        return word.start == 3


def word(start: float, end: float, text: str = "word", channel: int | None = None) -> Word:
    return Word(start, end, text, channel=channel)


@pytest.mark.parametrize(
    ("start", "end", "speaker"),
    [
        (0.6, 1.0, 1),  # within a turn
        (1.9, 2.3, 2),  # most of it
        (1.0, 9.0, 3),
        (0.0, 0.3, 1),  # before the first turn
        (4.7, 4.9, 2),  # nearer to the next turn, but in the speech of the one before
        (5.05, 5.1, 3),  # between spans: the nearest
        (8.2, 9.0, 3),  # after the last turn
        (3.0, 3.0, 2),  # engines give some words no time
    ],
)
def test_word_is_said_by_the_speaker_of_the_turn_that_covers_it_or_is_near(
    start: float, end: float, speaker: int
) -> None:
    assert TurnSpeakers(TURNS, SPANS, math.inf)(word(start, end)) == speaker


def test_words_later_than_what_is_known_have_no_speaker() -> None:
    speaker_of = TurnSpeakers(TURNS[:1], SPANS, 2.0)
    assert [speaker_of(word(start, start + 0.5)) for start in (1.0, 1.5, 1.6)] == [1, 1, None]
    assert TurnSpeakers((), SPANS, math.inf)(word(1.0, 1.5)) is None


def test_interjection_within_the_turn_of_another_keeps_its_speaker() -> None:
    speaker_of = TurnSpeakers((Turn(0.0, 9.0, 1), Turn(3.0, 3.6, 2)), (Span(0, 9),), math.inf)
    assert speaker_of(word(3.1, 3.4)) == 2
    assert speaker_of(word(8.0, 8.5)) == 1


def test_word_is_said_by_the_louder_of_two_speakers_and_overlaps() -> None:
    turns = (Turn(0.0, 9.0, 1), Turn(3.0, 3.6, 2, is_quieter=True))
    speaker_of = TurnSpeakers(turns, (Span(0, 9),), math.inf)
    assert [speaker_of(word(start, start + 0.4)) for start in (3.1, 8.0)] == [1, 1]
    assert [speaker_of.has_overlap(word(start, start + 0.4)) for start in (3.1, 8.0)] == [
        True,
        False,
    ]


TIMES = st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda t: (t[0], t[0] + t[1]))


@given(st.lists(st.tuples(TIMES, st.integers(1, 4)), min_size=1, max_size=12), TIMES)
def test_no_turn_covers_more_of_a_word_or_is_nearer(
    turns: list[tuple[tuple[int, int], int]], at: tuple[int, int]
) -> None:
    found = [Turn(*times, speaker) for times, speaker in turns]
    said = word(*at)
    overlaps = [(min(turn.end, at[1]) - max(turn.start, at[0]), turn.speaker) for turn in found]
    best = max(overlap for overlap, _ in overlaps)
    speaker = TurnSpeakers(found, (), math.inf)(said)
    assert speaker in {number for overlap, number in overlaps if overlap == best}


def test_segment_is_divided_where_the_speaker_changes() -> None:
    words = tuple(word(n, n + 0.9, f"w{n}") for n in range(5))
    speakers: dict[int, int | None] = {0: 1, 1: 1, 2: None, 3: 2, 4: 2}
    parts = list(by_speaker(Segment(words, "en", DECODING), Scripted(speakers)))
    assert [part.text for part in parts] == ["w0 w1 w2", "w3 w4"]
    assert [[each.speaker for each in part.words] for part in parts] == [[1, 1, None], [2, 2]]
    assert [each.overlap for each in parts[1].words] == [True, False]
    assert [(part.language, part.decoding) for part in parts] == [("en", None), ("en", None)]


def test_segment_of_one_speaker_stays_whole() -> None:
    segment = Segment((word(0, 1), word(1, 2)), "en", DECODING)
    (whole,) = by_speaker(segment, Scripted(3))
    assert (len(whole.words), whole.decoding, whole.words[1].speaker) == (2, DECODING, 3)
    assert list(by_speaker(segment, Scripted(None))) == [segment]


def test_channels_are_speakers_in_the_order_in_which_they_speak() -> None:
    speaker_of = ChannelSpeakers.of([1, 1, None])
    assert [speaker_of(word(0, 1, channel=n)) for n in (0, 1, 5, 0, None)] == [2, 1, 3, 2, None]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (1.0, 2.0, False),  # one speaker
        (3.0, 3.5, True),  # within both
        (2.8, 3.3, True),  # most of it
        (2.5, 3.2, False),  # less than half of it
        (3.9, 4.3, False),  # the next turn begins with it
        (5.0, 6.0, False),  # two turns of one speaker
        (7.0, 9.0, True),  # longer than the overlap, of which there is much
        (20.0, 21.0, False),
        (3.0, 3.0, False),
    ],
)
def test_word_overlaps_if_several_people_speak(start: float, end: float, expected: bool) -> None:
    found = [
        *(Turn(0.0, 4.0, 1), Turn(3.0, 4.0, 2), Turn(4.0, 4.5, 3)),
        *(Turn(5.0, 6.0, 1), Turn(5.2, 5.8, 1)),
        *(Turn(6.5, 9.5, 1), Turn(7.1, 7.8, 2), Turn(8.0, 8.6, 3)),
    ]
    speaker_of = TurnSpeakers(found, (), math.inf)
    assert speaker_of.has_overlap(word(start, end)) is expected
    assert not TurnSpeakers(found, (), 2.0).has_overlap(word(start, end))


def test_words_of_two_channels_at_the_same_time_overlap() -> None:
    words = [
        word(0, 1, channel=1),
        word(0.2, 0.9, channel=0),
        word(1, 2, channel=1),
        word(1.9, 3, channel=0),
        word(0.5, 2.5),
    ]
    speaker_of = ChannelSpeakers.with_words(words)
    assert [speaker_of.has_overlap(each) for each in words] == [True, True, False, False, False]
    assert [speaker_of(each) for each in words] == [1, 2, 1, 2, None]
    assert not ChannelSpeakers.of([0, 1]).has_overlap(words[0])
