"""The channels of a recording: they are looked at before they are mixed.

A plain sum would cancel channels of opposite phase, and halve a voice that is on one channel only.
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from gpu import pcm

BLOCK_FRAMES = 30 * pcm.SAMPLE_RATE_HZ  # in memory at a time
SILENT_PEAK = 16  # of 32768: less than the noise of a converter
SILENT_SHARE = 1e-6  # of the other channel's energy: 60 dB below it, which is crosstalk
OPPOSITE_CORRELATION = -0.5  # below it, the difference is much louder than the sum
SAME_CORRELATION = 0.95  # above it, both channels have the same sound
# Where all channels have a sound of their own in the beginning, as in a telephone call, what comes
# later does not matter: the first words can come early.
BEGINNING_S = 60.0
OWN_CORRELATION = 0.3  # below it

# The format of a WAV: a number in its header.
FORMAT_TAG_AT, PCM, EXTENSIBLE = 20, b"\x01\x00", b"\xfe\xff"

Samples = np.ndarray[Any, np.dtype[np.float32]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]


Weights = Sequence[float]


@dataclass(frozen=True, slots=True)
class Channels:
    """What the channels have in common: which ones have no sound, and the correlation of each with
    each other one."""

    is_silent: tuple[bool, ...]
    correlation: Matrix

    @property
    def weights(self) -> Weights:
        """The part of each channel in the mix: of two, or of several with the same sound."""
        with_sound = [number for number, silent in enumerate(self.is_silent) if not silent]
        if len(self.is_silent) != 2 or len(with_sound) == 1:
            return only(with_sound[0] if with_sound else 0, len(self.is_silent))
        return (0.5, -0.5) if self.correlation[0, 1] < OPPOSITE_CORRELATION else (0.5, 0.5)

    @property
    def distinct(self) -> tuple[int, ...]:
        """The channels with sound that differ from all before them, so that no sound is transcribed
        twice. None if all have the same."""
        found = list[int]()
        for number, silent in enumerate(self.is_silent):
            if not silent and (np.abs(self.correlation[number, found]) < SAME_CORRELATION).all():
                found.append(number)
        return tuple(found) if len(found) > 1 or any(self.is_silent) else ()

    @property
    def are_independent(self) -> bool:
        """Whether there are several channels, and each has a sound of its own."""
        others = self.correlation[~np.eye(len(self.is_silent), dtype=bool)]
        return bool(others.size and (np.abs(others) < OWN_CORRELATION).all()) and not any(
            self.is_silent
        )


def only(channel: int, count: int) -> Weights:
    """The weights to get one of `count` channels."""
    return [float(number == channel) for number in range(count)]


def channel_count(path: Path) -> int:
    """The number of channels of a WAV; 0 if it cannot be read."""
    try:
        with wave.open(str(path), "rb") as wav:
            return wav.getnchannels()
    except (OSError, EOFError, RuntimeError, wave.Error):
        return 0


def compare(wav: Path, check: Callable[[], None], seconds: float = inf) -> Channels:
    """Compare the channels of a WAV, or of its first `seconds`, about. `check` is called for each
    block."""
    channels, count = channel_count(wav), 0
    peaks, sums = np.zeros(channels), np.zeros(channels)
    products = np.zeros((channels, channels))
    for block in _blocks(wav, check):
        if count >= seconds * pcm.SAMPLE_RATE_HZ:
            break
        count += block.shape[1]
        peaks = np.maximum(peaks, np.maximum(block.max(axis=1), -block.min(axis=1)))
        sums += block.sum(axis=1, dtype=np.float64)
        products += block @ block.T
    covariance = products - np.outer(sums, sums) / max(count, 1)
    energy = covariance.diagonal()
    silent = (peaks <= SILENT_PEAK) | (energy <= SILENT_SHARE * energy.max())
    scale = np.sqrt(np.outer(energy, energy))
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
    return Channels(tuple(bool(each) for each in silent), correlation)


def are_independent(wav: Path, check: Callable[[], None]) -> bool:
    """Whether each channel of a WAV has a sound of its own in the beginning."""
    return compare(wav, check, BEGINNING_S).are_independent


def mix(wav: Path, mono: Path, weights: Weights, check: Callable[[], None]) -> None:
    """Write a mono WAV with the weighted sum of all channels."""
    parts = np.array(weights, dtype=np.float32)
    with wave.open(str(mono), "wb") as out:
        out.setparams((1, 2, pcm.SAMPLE_RATE_HZ, 0, "NONE", "not compressed"))
        for block in _blocks(wav, check):
            mixed = np.rint(parts @ block)
            out.writeframes(mixed.clip(-32768, 32767).astype("<i2").tobytes())


def split(
    wav: Path, folder: Path, channels: Iterable[int], check: Callable[[], None]
) -> dict[int, Path]:
    """Write a mono WAV for each of these channels."""
    count = channel_count(wav)
    paths = {channel: folder / f"channel-{channel}.wav" for channel in channels}
    for channel, path in paths.items():
        mix(wav, path, only(channel, count), check)
    return paths


def cut(wav: Path, beginning: Path, seconds: float, check: Callable[[], None]) -> Path:
    """Write the beginning of a WAV to another one, and return its path."""
    with wave.open(str(wav), "rb") as source, wave.open(str(beginning), "wb") as out:
        out.setparams(source.getparams())
        frames = round(seconds * source.getframerate())
        for first in range(0, frames, BLOCK_FRAMES):
            check()
            out.writeframes(source.readframes(min(BLOCK_FRAMES, frames - first)))
    return beginning


def make_plain(wav: Path) -> None:
    """Let a WAV with more than two channels say that it has PCM samples: FFmpeg writes the longer
    form of the header for them, which Python can read since 3.12 only."""
    with wav.open("r+b") as file:
        file.seek(FORMAT_TAG_AT)
        if file.read(2) == EXTENSIBLE:
            file.seek(FORMAT_TAG_AT)
            file.write(PCM)


def _blocks(path: Path, check: Callable[[], None]) -> Iterator[Samples]:
    """Arrays with a row for each channel."""
    with wave.open(str(path), "rb") as wav:
        channels = wav.getnchannels()
        while frames := wav.readframes(BLOCK_FRAMES):
            check()
            whole = len(frames) // (2 * channels)  # FFmpeg may have been stopped in a frame
            samples = np.frombuffer(frames, dtype="<i2", count=whole * channels)
            yield samples.reshape(-1, channels).T.astype(np.float32, order="C")
