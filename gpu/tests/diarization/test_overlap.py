"""Where two voices speak at once, both have a turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from gpu.diarization import overlap
from gpu.diarization.clustering import SpeakerLimits
from gpu.diarization.embedded import CHUNK_STEP, LONG_CHUNK_STEP, EmbeddedDiarizer
from gpu.diarization.overlap import Overlaps
from gpu.diarization.segmentation import FRAMES, SPEAKERS
from gpu.diarization.types import Turn
from gpu.tests.diarization.conftest import Talk
from gpu.tests.diarization.errors import error_rate, overlap_rates
from gpu.types import Audio, Span

LOW, HIGH = 0.75, 1.3  # pitches
OVERLAP_S = 1.2


def turns_of(diarizer: EmbeddedDiarizer, audio: Audio) -> tuple[Turn, ...]:
    return list(diarizer.stream(audio, SpeakerLimits(), lambda: False))[-1].turns


def test_overlap_has_a_turn_of_each_speaker(diarizer: EmbeddedDiarizer, talk: Talk) -> None:
    conversation = talk([LOW, HIGH] * 5, overlap=OVERLAP_S)
    turns = turns_of(diarizer, conversation.audio)
    found = [(turn.start, turn.end, str(turn.speaker)) for turn in turns]
    precision, recall = overlap_rates(conversation.reference, found)
    assert precision is not None
    assert recall is not None
    assert precision > 0.8
    assert recall > 0.6
    assert error_rate(conversation.reference, found).confused < 0.05
    assert [turn.start for turn in turns] == sorted(turn.start for turn in turns)
    assert any(turn.is_quieter for turn in turns)


def test_one_voice_after_the_other_does_not_overlap(diarizer: EmbeddedDiarizer, talk: Talk) -> None:
    turns = turns_of(diarizer, talk([LOW, HIGH] * 4).audio)
    assert sum(turn.end - turn.start for turn in turns if turn.is_quieter) < 0.3


def test_speakers_are_found_where_hardly_a_moment_is_clear(
    diarizer: EmbeddedDiarizer, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shares(self: Overlaps, spans: Sequence[Span]) -> np.ndarray:
        return np.array([0.0, *[1.0] * (len(spans) - 1)], np.float32)

    monkeypatch.setattr(Overlaps, "shares", shares)
    turns = turns_of(diarizer, talk([LOW, HIGH] * 4).audio)
    assert {turn.speaker for turn in turns} == {1, 2}


class Scripted:
    """A segmentation whose speaker 0 speaks until 3 s of each chunk, and speaker 1 from 2 s on."""

    def __init__(self) -> None:
        self.heard = 0

    def activities(self, chunks: np.ndarray) -> np.ndarray:
        self.heard += len(chunks)
        found = np.zeros((len(chunks), FRAMES, SPEAKERS), np.float32)
        seconds = np.arange(FRAMES) * overlap.FRAME_S
        found[:, seconds < 3, 0] = 0.9
        found[:, seconds >= 2, 1] = 0.9
        return found


@pytest.fixture
def audio(tmp_path: Path, talk: Talk) -> Audio:
    return talk([1.0] * 6).audio


Heard = Callable[..., tuple[Overlaps, Scripted]]


@pytest.fixture
def hear(audio: Audio) -> Heard:
    def heard(*spans: Span, step: int = LONG_CHUNK_STEP) -> tuple[Overlaps, Scripted]:
        scripted = Scripted()
        overlaps = Overlaps(scripted, step)  # type: ignore[arg-type]
        for span in spans:
            overlaps.add(audio, span)
        return overlaps, scripted

    return heard


def seconds(turns: Iterator[Turn]) -> list[tuple[float, float, int]]:
    return [(round(turn.start, 1), round(turn.end, 1), turn.speaker) for turn in turns]


def test_the_other_one_is_who_speaks_alone_before_or_after(hear: Heard) -> None:
    overlaps, _ = hear(Span(0, 4.9))
    assert seconds(overlaps.turns([Turn(0, 2.5, 7), Turn(2.5, 5, 8)])) == [
        (2.0, 2.5, 8),
        (2.5, 3.0, 7),
    ]
    assert seconds(overlaps.turns([Turn(0, 4, 8), Turn(4, 5, 7), Turn(8, 9, 3)])) == [(2, 3, 7)]


def test_somebody_who_is_never_alone_is_the_nearest_other_speaker(hear: Heard) -> None:
    overlaps, _ = hear(Span(0, 4.9))
    turns = [Turn(0, 5, 1), Turn(9, 10, 2), Turn(6, 7, 3)]
    assert seconds(overlaps.turns(turns)) == [(2, 3, 3)]


def test_one_speaker_overlaps_nobody(hear: Heard) -> None:
    overlaps, _ = hear(Span(0, 4.9))
    assert not list(overlaps.turns([Turn(0, 5, 1)]))
    assert not list(overlaps.turns([]))


def test_nobody_speaks_between_turns(hear: Heard) -> None:
    overlaps, _ = hear(Span(0, 4.9))
    assert not list(overlaps.turns([Turn(0, 2, 1), Turn(3, 5, 2)]))


def test_only_speech_is_heard_and_no_chunk_twice(hear: Heard) -> None:
    assert hear(Span(0, 4.9))[0].shares([Span(0, 1), Span(2, 3), Span(1, 3)]).tolist() == (
        pytest.approx([0, 1, 0.5], abs=0.05)
    )
    near = [Span(0.5, 1.0), Span(1.5, 2.0), Span(3.0, 4.0)]
    for spans, step, count in (
        (near, LONG_CHUNK_STEP, 1),
        (near, CHUNK_STEP, 2),
        ([Span(11, 12)], LONG_CHUNK_STEP, 1),
        ([Span(0, 1), Span(11, 12)], LONG_CHUNK_STEP, 2),
    ):
        overlaps, scripted = hear(*spans, step=step)
        overlaps.shares(spans)
        assert scripted.heard == count
