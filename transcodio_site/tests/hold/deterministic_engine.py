"""An engine whose segments depend on the audio alone, and which fails on request.

It replaces every engine in processes that a test has started with DETERMINISTIC_ENGINE, the path of
a folder. Each file in that folder is a fault that happens once, to the first call that finds it:

- `raise`: an unexpected error
- `memory`: OutOfMemory
- `away`: Unreachable
- `garbage`: a segment with impossible times
- `cold`: nothing happens for the number of seconds in the file
- `hang`: nothing ever happens again
- `storage`: a file cannot be saved (see `sitecustomize`)

The file `clock` stays: all clocks are moved by the number of seconds in it.
"""

from __future__ import annotations

import math
import os
import threading
import time
import wave
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from gpu.types import (
    Audio,
    Cancelled,
    Complete,
    EngineEvent,
    Metadata,
    OutOfMemory,
    Segment,
    Unreachable,
    UsageDelta,
    Word,
)

GRID_S = 2.0  # segments end at its multiples, wherever a call starts
MIN_SEGMENT_S = 0.2
SECONDS_PER_SEGMENT = 0.2


class DeterministicEngine:
    """Yields a segment for every 2 s of speech. Its text is a checksum of the audio."""

    name = "deterministic"

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """See `gpu.types.Engine`."""
        wait_while_cold()
        yield Metadata("en", "deterministic")
        pieces = list(speech_pieces(audio))
        for start, end in pieces:
            fail_on_request()
            if taken("garbage") is not None:
                yield Segment((Word(math.nan, -1.0, "garbage"),))
            wait(SECONDS_PER_SEGMENT)
            if stopped():
                raise Cancelled("as asked")
            yield UsageDelta(SECONDS_PER_SEGMENT)
            yield Segment((Word(start, end, checksum(audio.path, start, end)),))
        audio_seconds = sum(end - start for start, end in pieces)
        yield Complete(audio_seconds, SECONDS_PER_SEGMENT * len(pieces))


def speech_pieces(audio: Audio) -> Iterator[tuple[float, float]]:
    """Start and end of every segment, in seconds."""
    for span in audio.spans:
        start = span.start
        while start < span.end:
            end = min(span.end, (math.floor(start / GRID_S) + 1) * GRID_S)
            if end - start >= MIN_SEGMENT_S:
                yield start, end
            start = end


def checksum(path: Path, start: float, end: float) -> str:
    """The checksum of the samples from `start` to `end` (seconds)."""
    with wave.open(str(path), "rb") as reader:
        rate = reader.getframerate()
        reader.setpos(round(start * rate))
        return f"{zlib.crc32(reader.readframes(round((end - start) * rate))):08x}"


def wait_while_cold() -> None:
    """Simulate the start of a container: no event for a while."""
    if (seconds := taken("cold")) is not None:
        wait(float(seconds))


def fail_on_request() -> None:
    """Raise the requested error, or block forever."""
    if taken("raise") is not None:
        raise RuntimeError("the engine was asked to fail")
    if taken("memory") is not None:
        raise OutOfMemory("the engine was asked to run out of memory")
    if taken("away") is not None:
        raise Unreachable("the engine was asked to be unreachable")
    if taken("hang") is not None:
        threading.Event().wait()


def wait(seconds: float) -> None:
    """The time that decoding takes."""
    time.sleep(seconds)


def taken(name: str) -> str | None:
    """The content of the fault's file; None if it was not requested, or another call has taken
    it."""
    file = Path(os.environ["DETERMINISTIC_ENGINE"]) / name
    with suppress(FileNotFoundError):
        content = file.read_text()
        file.unlink()
        return content
    return None
