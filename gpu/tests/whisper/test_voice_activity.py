"""Speech is found frame by frame exactly as in the whole audio, and its edges are those of
turns."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model

from gpu.types import Span
from gpu.whisper.voice_activity import FRAME, FRAME_S, SpeechDetector, VoiceActivity

SPEECH, SILENCE, UNSURE = 0.9, 0.1, 0.4


def detector_after(*frames: tuple[float, int], start: float = 0.0) -> SpeechDetector:
    """A detector after these probabilities, each for a number of frames."""
    detector = SpeechDetector(start)
    for probability, count in frames:
        for _ in range(count):
            detector.push(probability)
    return detector


def in_frames(spans: Iterable[Span]) -> list[tuple[int, int]]:
    return [(round(span.start / FRAME_S), round(span.end / FRAME_S)) for span in spans]


def test_chunks_have_the_probabilities_of_the_whole() -> None:
    random = np.random.default_rng(3)
    samples = (random.standard_normal(FRAME * 40) * 0.1).astype(np.float32)
    activity, found, at = VoiceActivity(), list[float](), 0
    while at < len(samples):
        length = int(random.integers(0, 2000))
        found += activity.probabilities(samples[at : at + length])
        at += length
    model = get_vad_model()
    # Without the last frame: for it, the model of faster-whisper drops a part of the context.
    whole = model(samples.copy()).reshape(-1)
    assert found[:-1] == pytest.approx(whole[:-1], abs=1e-3)
    assert len(found) == len(whole)


def test_speech_has_lasted_long_enough() -> None:
    assert not detector_after((SPEECH, 3)).is_speech
    detector = detector_after((SILENCE, 10), (SPEECH, 4), start=60.0)
    assert detector.is_speech
    assert detector.start == pytest.approx(60 + 10 * FRAME_S)
    assert detector.silence == 0


def test_short_silence_is_part_of_the_speech() -> None:
    detector = detector_after((SPEECH, 10), (SILENCE, 11), (SPEECH, 4), (UNSURE, 3), (SILENCE, 2))
    assert detector.is_speech
    assert in_frames([Span(detector.start, detector.end)]) == [(0, 28)]
    assert detector.silence == pytest.approx(2 * FRAME_S)


def test_click_does_not_shorten_the_silence() -> None:
    detector = detector_after((SPEECH, 10), (SILENCE, 20), (SPEECH, 2), (SILENCE, 20))
    assert not detector.is_speech
    assert detector.silence == pytest.approx(42 * FRAME_S)
    assert in_frames(detector.spans(0, 2)) == [(0, 16)]  # with padding


def test_spans_are_padded_apart_and_can_be_forgotten() -> None:
    detector = detector_after((SILENCE, 20), (SPEECH, 10), (SILENCE, 20), (SPEECH, 10))
    assert in_frames(detector.spans(0, 60 * FRAME_S)) == [(14, 36), (44, 60)]
    assert in_frames(detector.spans(25 * FRAME_S, 28 * FRAME_S)) == [(25, 28)]
    detector.forget(40 * FRAME_S)
    assert in_frames(detector.spans(0, 60 * FRAME_S)) == [(44, 60)]


def test_finished_speech_does_not_go_on() -> None:
    detector = detector_after((SPEECH, 10))
    detector.finish()
    assert not detector.is_speech
    detector.push(SPEECH)
    assert not detector.is_speech  # it might be a click
    assert detector.start == pytest.approx(10 * FRAME_S)
