"""Decodes audio that arrives in pieces, as an engine needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpu import pcm

if TYPE_CHECKING:
    from gpu.types import Samples

SILENCE: Samples = np.zeros(0, dtype=np.float32)
BYTES_PER_SAMPLE = {"s16le": 2, "mulaw": 1, "alaw": 1}  # by FFmpeg's names of the encodings


class StreamDecoder:
    """Turns the bytes of one stream, cut anywhere, into float32 samples in -1..1 at 24 kHz.

    Not thread-safe: its state is the position in the stream.
    """

    def __init__(self, encoding: str, rate_hz: int) -> None:
        """`encoding` is a key of BYTES_PER_SAMPLE; the audio has one channel."""
        self._width = BYTES_PER_SAMPLE[encoding]
        self._table = None if encoding == "s16le" else G711_TABLES[encoding]
        self._rest = b""  # the first byte of an incomplete sample
        is_same = rate_hz == pcm.SAMPLE_RATE_HZ
        self._resampler = None if is_same else pcm.Resampler(pcm.SAMPLE_RATE_HZ, rate_hz)

    def decode(self, data: bytes) -> Samples:
        """The samples of the next bytes; a few of them may follow with the bytes after those."""
        data = self._rest + data
        whole = len(data) // self._width * self._width
        self._rest = data[whole:]
        if self._table is None:
            samples = np.frombuffer(data[:whole], dtype="<i2")
        else:
            samples = self._table[np.frombuffer(data[:whole], dtype=np.uint8)]
        return self._resampler.push(samples) if self._resampler else _scaled(samples)

    def finish(self) -> Samples:
        """The last samples of the stream."""
        return self._resampler.finish() if self._resampler else SILENCE


def _scaled(samples: np.ndarray[Any, np.dtype[np.int16]]) -> Samples:
    return samples.astype(np.float32) / np.float32(32768)


def _mulaw_table() -> np.ndarray[Any, np.dtype[np.int16]]:
    """The value of each byte (ITU-T G.711): its bits are inverted; sign, exponent and mantissa."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, (code & 15).astype(np.int32)
    magnitude = (((mantissa << 3) + 132) << exponent) - 132
    return np.where(code & 128, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> np.ndarray[Any, np.dtype[np.int16]]:
    """The value of each byte (ITU-T G.711): every second bit is inverted."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = ((code >> 4) & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = (mantissa << 4) + np.where(exponent > 0, 264, 8)
    magnitude <<= np.maximum(exponent - 1, 0)
    return np.where(code & 128, magnitude, -magnitude).astype(np.int16)


G711_TABLES = {"mulaw": _mulaw_table(), "alaw": _alaw_table()}
