"""Encodes audio for the network as FLAC, which is lossless and halves the size."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np

from gpu import pcm
from gpu.types import BadAudio

BLOCK_SAMPLES = 10 * pcm.SAMPLE_RATE_HZ  # passed to the encoder in one call: it keeps copies

Samples = np.ndarray[Any, np.dtype[np.int16]]


def encode(samples: Samples) -> bytes:
    """Mono samples at 24 kHz as a FLAC file. Raises BadAudio if there are none."""
    if not samples.size:
        raise BadAudio("there is no audio to send")
    starts = range(0, samples.size, BLOCK_SAMPLES)
    return encode_blocks(samples[start : start + BLOCK_SAMPLES] for start in starts)


def encode_blocks(blocks: Iterable[Samples]) -> bytes:
    """The same for blocks of samples, for a recording that is too long for memory."""
    out = io.BytesIO()
    with av.open(out, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=pcm.SAMPLE_RATE_HZ, layout="mono")
        for block in blocks:
            samples = np.ascontiguousarray(block[None])
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate = pcm.SAMPLE_RATE_HZ
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def decode(source: bytes | Path) -> Samples:
    """Any recording, mixed to mono and resampled to 24 kHz. Raises BadAudio."""
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    try:
        with av.open(file, "r") as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=pcm.SAMPLE_RATE_HZ)
            frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
            frames += resampler.resample(None)
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise BadAudio(f"the file contains no audio that can be decoded: {error}") from error
    parts = [frame.to_ndarray()[0] for frame in frames]
    if not parts:
        raise BadAudio("the recording contains no audio")
    return np.concatenate(parts).astype("<i2")
