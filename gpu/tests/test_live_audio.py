"""Decoding of audio that arrives in pieces."""

from __future__ import annotations

import itertools
import subprocess

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from gpu.live_audio import BYTES_PER_SAMPLE, StreamDecoder

RATES = (8_000, 16_000, 24_000, 44_100, 48_000)


def tone(rate_hz: int, seconds: float = 1.0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    times = np.arange(round(rate_hz * seconds)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)


def encoded(encoding: str, rate_hz: int) -> bytes:
    """The tone, as FFmpeg writes it."""
    samples = (tone(rate_hz) * 32767).astype("<i2").tobytes()
    raw = ["-f", "s16le", "-ar", str(rate_hz), "-ac", "1"]
    command = [get_ffmpeg_exe(), "-v", "error", *raw, "-i", "pipe:", "-f", encoding, "pipe:"]
    return subprocess.run(command, input=samples, capture_output=True, check=True).stdout


@pytest.mark.parametrize("encoding", BYTES_PER_SAMPLE)
@pytest.mark.parametrize("rate_hz", RATES)
def test_pieces_cut_anywhere_give_the_sound_at_24_khz(encoding: str, rate_hz: int) -> None:
    data = encoded(encoding, rate_hz)
    decoder = StreamDecoder(encoding, rate_hz)
    sizes = np.random.default_rng(7).integers(1, 3000, 400)
    edges = [0, *np.cumsum(sizes).tolist()]
    parts = [decoder.decode(data[a:b]) for a, b in itertools.pairwise(edges)]
    samples = np.concatenate([*parts, decoder.finish()])
    assert abs(len(samples) - 24_000) <= 32
    expected = tone(24_000)
    middle = slice(1000, 23_000)  # resamplers have edges
    assert np.abs(samples[middle] - expected[middle]).max() < 0.03


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
def test_every_byte_has_the_value_that_ffmpeg_gives_it(encoding: str) -> None:
    data = bytes(range(256))
    raw = ["-f", encoding, "-ar", "24000", "-ac", "1"]
    command = [get_ffmpeg_exe(), "-v", "error", *raw, "-i", "pipe:", "-f", "s16le", "pipe:"]
    expected = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    values = StreamDecoder(encoding, 24_000).decode(data) * 32768
    assert values.astype(int).tolist() == np.frombuffer(expected, "<i2").tolist()
