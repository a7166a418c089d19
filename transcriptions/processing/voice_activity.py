"""What can be told about prepared audio on the CPU: where speech lies, and how loud it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from gpu import pcm
from gpu.types import Span

RATE = 16_000  # Hz, what the Silero VAD listens at
BLOCK = 300.0  # seconds looked at together: keeps memory flat however long the recording
EDGE = 0.5  # seconds before a block's end in which speech may begin unnoticed
LONGEST = 28.0  # seconds; longer speech is cut at its best breath, as Whisper hears 30 s
SILENCE_MS, PADDING_MS, SHORTEST_MS = 400, 200, 120
PEAKS = 800  # points along a waveform: more than a screen shows


def find_speech(path: Path, duration: float, alive: Callable[[], None]) -> list[Span]:
    """Where somebody speaks, in order and without overlap. `alive` is called between blocks."""
    return list(_spans(path, duration, alive))


def _spans(path: Path, duration: float, alive: Callable[[], None]) -> Iterator[Span]:
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        min_silence_duration_ms=SILENCE_MS,
        speech_pad_ms=PADDING_MS,
        min_speech_duration_ms=SHORTEST_MS,
        max_speech_duration_s=LONGEST,
    )
    start = 0.0
    while start < duration:
        alive()
        end = min(start + BLOCK, duration)
        found = [
            Span(round(start + s["start"] / RATE, 3), min(round(start + s["end"] / RATE, 3), end))
            for s in get_speech_timestamps(pcm.read_at(path, start, end, RATE), options)
        ]
        if end < duration:
            # The next block looks again, whole, at speech that this one's edge cuts or hides.
            if not found or found[-1].end <= end - EDGE:
                end -= EDGE
            elif found[-1].start > start:
                end = found.pop().start
        yield from found
        start = end


def find_peaks(path: Path, duration: float) -> list[int]:
    """The waveform for the eye: PEAKS points (fewer for a very short one), each 0 to 100."""
    count = max(1, min(PEAKS, int(duration * 50)))
    edges = np.linspace(0, duration, count + 1)
    loudest = [_loudest(path, a, b) for a, b in pairwise(edges)]
    top = max(max(loudest), 1)
    return [round(100 * value / top) for value in loudest]


def _loudest(path: Path, start: float, end: float) -> int:
    samples = pcm.read(path, start, end)
    return int(np.abs(samples.astype(np.int32)).max()) if samples.size else 0
