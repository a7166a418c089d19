"""Turns begin and end where it is quiet."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.diarization.encoder import WINDOW_FRAMES
from gpu.diarization.turns import SpeechSpan, turns, windows

BANDS = 40


def spectra(seconds: float, quiet: list[tuple[float, float]]) -> np.ndarray:
    power = np.ones((round(seconds * 100), BANDS), np.float32)
    for start, end in quiet:
        power[round(start * 100) : round(end * 100)] = 1e-6
    return power


def test_speakers_change_at_the_pause_nearest_to_the_change_of_voice() -> None:
    power = spectra(8.0, [(3.7, 3.9)])
    span = SpeechSpan.of(10.0, 18.0, power, 40)
    speakers = [1 if center < 13.6 else 2 for center in span.centers]
    first, second = turns([span], speakers)
    assert (first.speaker, second.speaker) == (1, 2)
    assert 13.7 <= first.end <= second.start + 0.001 <= 13.901
    assert first.start == 10.0
    assert second.end == pytest.approx(18.0, abs=0.011)


def test_silence_is_nobodys_turn() -> None:
    span = SpeechSpan.of(0.0, 6.0, spectra(6.0, [(0.0, 0.5), (2.0, 3.0), (5.8, 6.0)]), 40)
    found = turns([span], [1] * len(span.centers))
    edges = [edge for turn in found for edge in (turn.start, turn.end)]
    assert edges == pytest.approx([0.5, 2.0, 3.0, 5.8])


def test_short_pause_does_not_end_a_turn() -> None:
    span = SpeechSpan.of(0.0, 4.0, spectra(4.0, [(2.0, 2.2)]), 40)
    assert len(list(turns([span], [1] * len(span.centers)))) == 1


@pytest.mark.parametrize("frames", [1, 7, 159, 160, 161, 1000])
def test_windows_cover_a_span(frames: int) -> None:
    power = np.arange(frames, dtype=np.float32)[:, None] * np.ones(BANDS, np.float32)
    found = windows(power, 40)
    assert found.shape[1:] == (WINDOW_FRAMES, BANDS)
    assert found[-1][-1][0] == frames - 1 or frames < WINDOW_FRAMES
    assert len(found) == len(SpeechSpan.of(0.0, frames / 100, power, 40).centers)
