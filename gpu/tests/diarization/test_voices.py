"""Voices are the same in different sentences, and known ones are recognized."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.diarization import voices
from gpu.tests.diarization.conftest import Conversation, Talk
from gpu.types import Span

PITCHES = (1.0, 0.75, 1.3)


@pytest.fixture
def conversation(talk: Talk) -> Conversation:
    """Three voices, nine sentences."""
    return talk(PITCHES * 3)


def spans_of(conversation: Conversation, pitch: float) -> list[Span]:
    return [Span(s, e) for s, e, name in conversation.reference if name == str(pitch)]


def unit(*values: float) -> voices.Array:
    vector = np.zeros(voices.SIZE, np.float32)
    vector[: len(values)] = values
    return voices.mean([vector])


def test_voice_is_recognized_by_other_sentences(conversation: Conversation) -> None:
    path = conversation.audio.path
    spans = [spans_of(conversation, pitch) for pitch in PITCHES]
    kept = [voices.describe(path, own[:1]) for own in spans]
    heard = {n: voices.describe(path, own[1:]) for n, own in enumerate(spans, 1)}
    assert all(vector is not None and vector.shape == (voices.SIZE,) for vector in kept)
    known = [vector for vector in kept if vector is not None]
    found = {number: vector for number, vector in heard.items() if vector is not None}
    assert voices.matches(found, known) == {1: 0, 2: 1, 3: 2}
    assert voices.matches({2: found[2], 3: found[3]}, known[:1]) == {}  # no known voice


def test_too_little_speech_is_no_voice(conversation: Conversation) -> None:
    path = conversation.audio.path
    assert voices.describe(path, ()) is None
    assert voices.describe(path, [Span(0.5, 2.0)]) is None
    assert voices.describe(path, [Span(n * 0.5, n * 0.5 + 0.5) for n in range(20)]) is None
    assert voices.describe(path, [Span(10_000.0, 10_060.0)]) is None  # after its end


def test_known_voice_has_only_its_most_similar_speaker() -> None:
    anna = unit(1.0)
    assert voices.matches({1: unit(1.0, 0.5), 2: unit(1.0, 0.1), 3: unit(0, 1)}, [anna]) == {2: 0}


def test_speaker_who_is_like_two_known_voices_is_neither() -> None:
    both, anna, berta = unit(1.0, 0.1), unit(1.0), unit(1.0, 0.2)
    assert voices.matches({1: both}, [anna, berta]) == {}
    assert voices.matches({1: both}, [anna, unit(0, 1)]) == {1: 0}


def test_nothing_matches_without_voices() -> None:
    assert voices.matches({}, [unit(1.0)]) == voices.matches({1: unit(1.0)}, []) == {}


def test_mean_has_length_one() -> None:
    assert np.linalg.norm(voices.mean([unit(1.0), unit(0, 1)])) == pytest.approx(1.0)
    assert not voices.mean([unit(1.0), unit(-1.0)]).any()
