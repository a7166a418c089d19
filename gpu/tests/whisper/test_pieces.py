"""Pieces of a window, for which languages are detected."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.types import Span
from gpu.whisper.decoded import SAMPLE_RATE_HZ, Samples
from gpu.whisper.pieces import MAX_PIECE_S, MIN_PIECE_S, pieces_of

NOISE = np.random.default_rng(5)


def noise(seconds: float) -> Samples:
    return NOISE.uniform(-0.5, 0.5, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


@st.composite
def speech(draw: st.DrawFn) -> list[Span]:
    now, spans = draw(st.floats(0, 1000)), []
    for pause, length in draw(
        st.lists(st.tuples(st.floats(0, 2), st.floats(0.3, 12)), min_size=1, max_size=8)
    ):
        spans.append(Span(now + pause, now + pause + length))
        now = spans[-1].end
    return spans


@given(speech(), st.sampled_from([noise, lambda seconds: 0 * noise(seconds)]))
def test_pieces_are_the_whole_window_and_long_enough(spans: list[Span], sound: object) -> None:
    assert callable(sound)
    window = Span(spans[0].start, spans[-1].end)
    pieces = list(pieces_of(window, spans, sound(window.end - window.start)))
    assert pieces[0].start == window.start
    assert pieces[-1].end == pytest.approx(window.end)
    assert all(one.end == pytest.approx(two.start) for one, two in pairwise(pieces))
    lengths = [piece.end - piece.start for piece in pieces]
    assert max(lengths) <= MAX_PIECE_S + 0.001
    assert len(pieces) == 1 or min(lengths) > MIN_PIECE_S - 0.001


def test_speech_without_a_silence_is_cut_at_its_quietest_moments() -> None:
    samples = noise(12.0)
    for pause in (3.5, 8.25):
        first = round(pause * SAMPLE_RATE_HZ)
        samples[first : first + SAMPLE_RATE_HZ // 10] *= 0.1
    window = Span(100.0, 112.0)
    cuts = [piece.end for piece in pieces_of(window, [window], samples)]
    assert cuts == pytest.approx([103.55, 108.3, 112.0], abs=0.05)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 1.0])
def test_window_that_is_longer_than_its_samples_is_one_piece(seconds: float) -> None:
    window = Span(0.0, 8.0)
    assert list(pieces_of(window, [window], noise(seconds))) == [window]
