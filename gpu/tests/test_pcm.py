"""Stretches of prepared audio: the right samples at the right rate, none after the end."""

from __future__ import annotations

import wave
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu import pcm
from gpu.tests.conftest import WriteWav

SECOND = np.arange(pcm.SAMPLE_RATE_HZ, dtype=np.int16)  # sample number n has the value n


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
def test_read_returns_exactly_the_samples_of_a_stretch(
    write_wav: WriteWav, start: float, end: float, first: int, count: int
) -> None:
    samples = pcm.read_samples(write_wav(SECOND), start, end)
    assert samples.tolist() == list(range(first, first + count))


def test_adjacent_stretches_add_up_to_the_whole(write_wav: WriteWav) -> None:
    path = write_wav(SECOND)
    edges = np.linspace(0, 1, 37)
    parts = [pcm.read_samples(path, a, b) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), SECOND)


@pytest.mark.parametrize("seconds", [1.0, 0.3333, 0.01])
def test_resampling_keeps_the_duration(write_wav: WriteWav, seconds: float) -> None:
    samples = pcm.read_resampled(write_wav(SECOND), 0, seconds, 16_000)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(seconds * 16_000, abs=2)


def test_resampling_keeps_the_signal(write_wav: WriteWav) -> None:
    path = write_wav((tone(440, 1, pcm.SAMPLE_RATE_HZ) * 16_384).astype(np.int16))
    resampled = pcm.read_resampled(path, 0, 1, 16_000)
    wanted = tone(440, 1, 16_000) / 2
    middle = slice(1_000, 15_000)  # the filter of the resampler rings at both ends
    assert np.abs(resampled[middle] - wanted[middle]).max() < 0.01


def test_chunks_are_resampled_like_the_whole(write_wav: WriteWav) -> None:
    samples = np.random.default_rng(2).integers(-9000, 9000, 24_000).astype(np.int16)
    whole = pcm.read_resampled(write_wav(samples), 0, 1, 16_000)
    resampler = pcm.Resampler(16_000)
    edges = [0, 0, 1, 700, 5_000, 5_003, 20_000, 24_000]
    chunks = [resampler.push(samples[a:b] / np.float32(32768)) for a, b in pairwise(edges)]
    assert np.abs(np.concatenate([*chunks, resampler.finish()]) - whole).max() < 1e-6


def test_full_scale_becomes_one(write_wav: WriteWav) -> None:
    path = write_wav(np.full(pcm.SAMPLE_RATE_HZ, -32_768, dtype=np.int16))
    assert pcm.read_resampled(path, 0, 1, pcm.SAMPLE_RATE_HZ).min() == pytest.approx(-1)


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.5), (3.0, 4.0), (0.99999, 1.0)])
def test_empty_and_tiny_stretches_can_be_resampled(
    write_wav: WriteWav, start: float, end: float
) -> None:
    assert len(pcm.read_resampled(write_wav(SECOND), start, end, 16_000)) <= 1


@pytest.mark.parametrize(
    "layout", [{"rate": 16_000}, {"channels": 2}, {"width": 1}, {"width": 4, "rate": 48_000}]
)
def test_other_wav_layouts_are_refused(write_wav: WriteWav, layout: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="mono 16-bit"):
        pcm.read_samples(write_wav(SECOND, **layout), 0, 1)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a recording at all, only text"])
def test_files_that_are_not_wav_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "audio.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"audio\.wav"):
        pcm.read_samples(path, 0, 1)


@pytest.mark.covers("attack", "Prepared audio that is damaged or not a WAV file")
@given(
    changes=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 255)), max_size=8),
    length=st.integers(0, 60),
    start=st.floats(0, 1e9),
)
def test_damaged_wav_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[int, int]],
    length: int,
    start: float,
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    with wave.open(str(path), "wb") as writer:
        writer.setparams((1, 2, pcm.SAMPLE_RATE_HZ, 0, "NONE", ""))
        writer.writeframes(bytes(16))
    content = bytearray(path.read_bytes())
    for position, value in changes:
        content[position] = value
    path.write_bytes(content[:length])
    with suppress(ValueError):
        assert pcm.read_samples(path, start, start + 1).size <= 8
