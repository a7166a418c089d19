"""Voices in, turns out, with the real weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from gpu.diarization.clustering import SpeakerLimits
from gpu.diarization.embedded import EmbeddedDiarizer
from gpu.diarization.types import Diarization
from gpu.tests.diarization.conftest import Conversation, Talk
from gpu.tests.diarization.errors import ErrorRate, error_rate
from gpu.types import Audio, Cancelled, Span

COLLAR_S = 0.25
MAX_CONFUSED = 0.01
LOW, OWN, HIGH = 0.75, 1.0, 1.3  # pitches
ANY = SpeakerLimits()


def diarize(
    diarizer: EmbeddedDiarizer, audio: Audio, limits: SpeakerLimits = ANY
) -> list[Diarization]:
    return list(diarizer.stream(audio, limits, lambda: False))


def errors(conversation: Conversation, found: Diarization) -> ErrorRate:
    stretches = [(turn.start, turn.end, str(turn.speaker)) for turn in found.turns]
    return error_rate(conversation.reference, stretches, COLLAR_S)


@pytest.mark.parametrize(
    "pitches",
    [
        [OWN] * 8,
        pytest.param([LOW] * 4, marks=pytest.mark.slow),
        pytest.param([HIGH] * 12, marks=pytest.mark.slow),
        pytest.param([LOW, HIGH] * 3, marks=pytest.mark.slow),
        [OWN, LOW] * 5,
        pytest.param([OWN, HIGH] * 10, marks=pytest.mark.slow),
        [LOW, OWN, HIGH] * 4,
    ],
)
def test_every_speaker_is_found_with_their_turns(
    diarizer: EmbeddedDiarizer, talk: Talk, pitches: Sequence[float]
) -> None:
    conversation = talk(pitches)
    last = diarize(diarizer, conversation.audio)[-1]
    assert len(last.voices) == len(set(pitches))
    assert errors(conversation, last).confused < MAX_CONFUSED
    assert errors(conversation, last).false_alarm < MAX_CONFUSED
    assert [turn.start for turn in last.turns] == sorted(turn.start for turn in last.turns)


def test_speakers_are_told_apart_however_loud_they_are(
    diarizer: EmbeddedDiarizer, talk: Talk
) -> None:
    conversation = talk([LOW, OWN] * 5, volume=(1.0, 0.1, 0.3))
    last = diarize(diarizer, conversation.audio)[-1]
    assert len(last.voices) == 2
    assert errors(conversation, last).confused < MAX_CONFUSED


def test_turns_in_one_span_of_speech_are_cut_at_the_pause(
    diarizer: EmbeddedDiarizer, talk: Talk
) -> None:
    conversation = talk([LOW, HIGH] * 3)
    spans = conversation.audio.spans
    joined = replace(conversation.audio, spans=(Span(spans[0].start, spans[-1].end),))
    last = diarize(diarizer, joined)[-1]
    assert len(last.voices) == 2
    assert errors(conversation, last).confused < MAX_CONFUSED


@pytest.mark.slow
def test_number_of_speakers_can_be_given(diarizer: EmbeddedDiarizer, talk: Talk) -> None:
    audio = talk([LOW, OWN, HIGH] * 2).audio

    def count(least: int, most: int) -> int:
        return len(diarize(diarizer, audio, SpeakerLimits(least, most))[-1].voices)

    assert count(1, 1) == 1
    assert count(1, 2) == 2
    assert count(3, 3) == 3
    assert count(4, 6) >= 4


def test_speakers_are_numbered_in_the_order_in_which_they_speak(
    diarizer: EmbeddedDiarizer, talk: Talk
) -> None:
    last = diarize(diarizer, talk([HIGH, LOW, OWN] * 3).audio)[-1]
    first = [turn.speaker for turn in last.turns]
    assert sorted(set(first), key=first.index) == [1, 2, 3]


def test_results_grow_until_the_final_one(diarizer: EmbeddedDiarizer, talk: Talk) -> None:
    audio = talk([LOW, HIGH] * 6).audio
    found = diarize(diarizer, audio)
    assert len(found) > 3
    assert [each.is_final for each in found] == [False] * (len(found) - 1) + [True]
    assert [each.until for each in found] == sorted(each.until for each in found)
    assert found[-1].until == audio.duration
    for each in found:
        assert all(turn.start < turn.end <= each.until for turn in each.turns)


@pytest.mark.slow
def test_result_is_the_same_each_time(diarizer: EmbeddedDiarizer, talk: Talk) -> None:
    audio = talk([LOW, OWN] * 4).audio
    assert diarize(diarizer, audio) == diarize(diarizer, audio)


@pytest.mark.slow
def test_voices_are_similar_to_those_of_another_recording(
    diarizer: EmbeddedDiarizer, talk: Talk
) -> None:
    first = diarize(diarizer, talk([LOW, HIGH] * 4).audio)[-1].voices
    second = diarize(diarizer, talk([HIGH, LOW] * 3).audio)[-1].voices
    same = np.dot(first[1], second[2]), np.dot(first[2], second[1])
    other = np.dot(first[1], second[1]), np.dot(first[2], second[2])
    assert min(same) > 0.9 > 0.8 > max(other)


def test_recording_without_speech_has_no_speakers(diarizer: EmbeddedDiarizer, talk: Talk) -> None:
    silent = replace(talk([OWN]).audio, spans=())
    assert diarize(diarizer, silent) == [Diarization((), silent.duration, is_final=True)]


def test_very_short_speech_has_a_speaker(diarizer: EmbeddedDiarizer, talk: Talk) -> None:
    audio = talk([OWN]).audio
    short = replace(audio, spans=(Span(0.5, 0.7), Span(1.0, 1.05)))
    assert [turn.speaker for turn in diarize(diarizer, short)[-1].turns] == [1, 1]


@pytest.mark.parametrize("pitches", [(1.0,), (1.0, 1.0, 1.0, 1.0)])
def test_more_speakers_than_voices_can_be_asked_for(
    diarizer: EmbeddedDiarizer, talk: Talk, pitches: tuple[float, ...]
) -> None:
    conversation = talk(pitches)
    *_, last = diarizer.stream(conversation.audio, SpeakerLimits(10, 10), lambda: False)
    numbers = list(dict.fromkeys(turn.speaker for turn in last.turns))
    assert numbers == list(range(1, len(numbers) + 1))
    assert 1 <= len(numbers) <= 10


def test_stops_when_it_is_told_to(diarizer: EmbeddedDiarizer, talk: Talk) -> None:
    answers = iter([False, False, True])
    with pytest.raises(Cancelled):
        list(diarizer.stream(talk([OWN] * 4).audio, ANY, lambda: next(answers)))
