"""Stretches of prepared audio: the right samples, at the right rate, and nothing past the end."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from gpu import pcm
from gpu.tests.conftest import WriteWav

SECOND = np.arange(pcm.RATE, dtype=np.int16)  # sample number n has the value n


def tone(hertz: float, seconds: float, rate: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize(
    ("start", "end", "first", "count"),
    [
        (0.0, 1.0, 0, 24_000),
        (0.25, 0.5, 6_000, 6_000),
        (0.29, 0.57, 6_960, 6_720),  # neither is a whole number of samples in floating point
        (0.9, 7.0, 21_600, 2_400),
        (0.5, 0.5, 12_000, 0),
        (0.5, 0.4, 12_000, 0),
        (1.0, 2.0, 24_000, 0),
        (8.0, 9.0, 24_000, 0),
    ],
)
def test_a_stretch_holds_exactly_its_samples(
    write_wav: WriteWav, start: float, end: float, first: int, count: int
) -> None:
    samples = pcm.read(write_wav(SECOND), start, end)
    assert samples.tolist() == list(range(first, first + count))


def test_stretches_put_together_are_the_whole(write_wav: WriteWav) -> None:
    path = write_wav(SECOND)
    edges = np.linspace(0, 1, 37)
    parts = [pcm.read(path, a, b) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), SECOND)


@pytest.mark.parametrize("seconds", [1.0, 0.3333, 0.01])
def test_resampled_audio_is_as_long_as_before(write_wav: WriteWav, seconds: float) -> None:
    samples = pcm.read_at(write_wav(SECOND), 0, seconds, 16_000)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(seconds * 16_000, abs=2)


def test_resampled_audio_sounds_the_same(write_wav: WriteWav) -> None:
    path = write_wav((tone(440, 1, pcm.RATE) * 16_384).astype(np.int16))
    heard = pcm.read_at(path, 0, 1, 16_000)
    wanted = tone(440, 1, 16_000) / 2
    middle = slice(1_000, 15_000)  # the filter of the resampler swings in and out
    assert np.abs(heard[middle] - wanted[middle]).max() < 0.01


def test_full_scale_is_one(write_wav: WriteWav) -> None:
    path = write_wav(np.full(pcm.RATE, -32_768, dtype=np.int16))
    assert pcm.read_at(path, 0, 1, pcm.RATE).min() == pytest.approx(-1)


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.5), (3.0, 4.0), (0.99999, 1.0)])
def test_next_to_nothing_can_be_resampled(write_wav: WriteWav, start: float, end: float) -> None:
    assert len(pcm.read_at(write_wav(SECOND), start, end, 16_000)) <= 1


@pytest.mark.parametrize(
    "layout", [{"rate": 16_000}, {"channels": 2}, {"width": 1}, {"width": 4, "rate": 48_000}]
)
def test_another_layout_is_refused(write_wav: WriteWav, layout: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="mono 16-bit"):
        pcm.read(write_wav(SECOND, **layout), 0, 1)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a recording at all, only text"])
def test_what_is_no_wav_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "audio.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"audio\.wav"):
        pcm.read(path, 0, 1)
