"""Where prepared audio has speech, found on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from gpu import pcm
from gpu.types import Span

RATE = 16_000  # Hz: the sample rate of the Silero VAD
BLOCK_S = 300.0  # analyzed at a time: bounds the memory for long recordings
BLOCK_EDGE_S = 0.5  # at the end of a block, where the VAD can miss the start of speech
MAX_SPEECH_S = 28.0  # longer speech is cut at a pause: Whisper's window is 30 s
MIN_SILENCE_MS, PADDING_MS, MIN_SPEECH_MS = 400, 200, 120


def find_speech(path: Path, duration: float, check: Callable[[], None]) -> list[Span]:
    """Speech spans in order and without overlap. `check` is called before each block."""
    return [span for spans, _ in _blocks(path, duration, check) for span in spans]


def find_first_speech(
    path: Path, duration: float, check: Callable[[], None]
) -> tuple[list[Span], float]:
    """The speech of the first block that has some, and where that block ends: up to there, these
    are the spans of `find_speech`."""
    found: tuple[list[Span], float] = [], duration
    for found in _blocks(path, duration, check):
        if found[0]:
            break
    return found


def _blocks(
    path: Path, duration: float, check: Callable[[], None]
) -> Iterator[tuple[list[Span], float]]:
    """The speech of each block, and where the block ends."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        min_silence_duration_ms=MIN_SILENCE_MS,
        speech_pad_ms=PADDING_MS,
        min_speech_duration_ms=MIN_SPEECH_MS,
        max_speech_duration_s=MAX_SPEECH_S,
    )
    start = 0.0
    while start < duration:
        check()
        end = min(start + BLOCK_S, duration)
        spans = [
            Span(round(start + s["start"] / RATE, 3), min(round(start + s["end"] / RATE, 3), end))
            for s in get_speech_timestamps(pcm.read_resampled(path, start, end, RATE), options)
        ]
        if end < duration:
            # The next block starts before speech that the end of this block cuts off or hides.
            if not spans or spans[-1].end <= end - BLOCK_EDGE_S:
                end -= BLOCK_EDGE_S
            elif spans[-1].start > start:
                end = spans.pop().start
        yield spans, end
        start = end
