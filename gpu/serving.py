"""What a container does with a call: bytes of audio in, events out. Knows nothing of Modal."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpu import codec, pcm
from gpu.types import (
    Audio,
    Complete,
    Engine,
    EngineError,
    EngineEvent,
    Metadata,
    Partial,
    Segment,
    Span,
    Spent,
    Word,
    error_of,
)

log = logging.getLogger(__name__)

QUIET = 15.0  # seconds before the end of a window in which the quietest place is looked for
LOOK = 1.0  # seconds between two looks at whether anybody still wants a call
FRAME = 0.1  # seconds that are as loud as each other


def messages(
    engine: Engine,
    data: bytes,
    spans: Sequence[tuple[float, float]] | None,
    language: str | None,
    stopped: Callable[[], bool],
) -> Iterator[dict[str, Any]]:
    """The events of one call, the last of them `complete` or `error`."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            audio = read_audio(data, Path(folder), spans, language)
            for event in engine.stream(audio, stopped):
                yield message_of(event)
    except EngineError as error:
        yield {"type": "error", "code": error.code, "detail": error.sentence, "reason": str(error)}
    except Exception as error:  # whatever it was, the caller learns of it
        log.exception("a call failed")
        full = "out of memory" in str(error).lower()
        yield {
            "type": "error",
            "code": "out_of_memory" if full else EngineError.code,
            "detail": EngineError.sentence,
            "reason": repr(error),
        }


def read_audio(
    data: bytes,
    folder: Path,
    spans: Sequence[tuple[float, float]] | None = None,
    language: str | None = None,
) -> Audio:
    """Any recording as the engine reads it: decoded, mixed to mono, resampled to 24 kHz.

    Without `spans` all of it counts as speech and is cut where it is quiet. Raises BadAudio.
    """
    samples = codec.decode(data)
    path = folder / "audio.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(pcm.RATE)
        out.writeframes(samples.tobytes())
    found = cut_where_quiet(samples) if spans is None else [Span(a, b) for a, b in spans]
    return Audio(path, len(samples) / pcm.RATE, tuple(found), language)


def cut_where_quiet(
    samples: np.ndarray[Any, np.dtype[np.int16]], longest: float = 60.0
) -> list[Span]:
    """Stretches of up to `longest` seconds that end at the quietest place near their end."""
    step = int(FRAME * pcm.RATE)
    whole = samples[: len(samples) // step * step].astype(np.float32)
    loudness = np.square(whole).reshape(-1, step).mean(axis=1)
    spans, start, end = [], 0, len(samples) / pcm.RATE
    most, late = int(longest / FRAME), int(QUIET / FRAME)
    while len(loudness) - start > most:
        near = loudness[start + most - late : start + most]
        cut = start + most - late + int(near.argmin())
        spans.append(Span(start * FRAME, cut * FRAME))
        start = cut
    return [*spans, Span(start * FRAME, end)] if end > start * FRAME else spans


# --- Events and their JSON ------------------------------------------------------------------------


def message_of(event: EngineEvent) -> dict[str, Any]:
    """An engine's event as it travels."""
    match event:
        case Metadata():
            return {"type": "metadata", "language": event.language, "model": event.model}
        case Partial():
            return {"type": "partial", "text": event.text, "words": _words(event.words)}
        case Segment():
            times = {"start": event.start, "end": event.end}
            return {"type": "segment", **times, "text": event.text, "words": _words(event.words)}
        case Spent():
            return {
                "type": "spent",
                "gpu_seconds": event.decode_seconds,
                "queue_seconds": event.queue_seconds,
                "load_seconds": event.load_seconds,
                "gpu": event.gpu,
            }
        case Complete():
            return {
                "type": "complete",
                "audio_seconds": event.audio_seconds,
                "gpu_seconds": event.decode_seconds,
                "queue_seconds": event.queue_seconds,
                "load_seconds": event.load_seconds,
                "gpu": event.gpu,
            }


def _words(words: tuple[Word, ...]) -> list[dict[str, Any]]:
    return [{"start": word.start, "end": word.end, "text": word.text} for word in words]


def whole(events: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """All events of a call as one answer. Raises the EngineError that it ended with."""
    answer: dict[str, Any] = {"text": "", "segments": []}
    for event in events:
        kind = event.pop("type")
        if kind == "error":
            raise error_of(event)
        if kind == "segment":
            answer["segments"].append({"id": len(answer["segments"]) + 1, **event})
        elif kind in ("metadata", "complete"):
            answer |= event
    answer["text"] = " ".join(segment["text"] for segment in answer["segments"])
    return answer


async def relay(
    make: Callable[[Callable[[], bool]], Iterator[dict[str, Any]]],
    is_unwanted: Callable[[], Awaitable[bool]] | None = None,
) -> AsyncIterator[dict[str, Any]]:
    """Runs a blocking iterator in a thread and yields its items.

    It is stopped once `is_unwanted`, which is asked from time to time, and when whoever reads here
    goes away.
    """
    loop, stop = asyncio.get_running_loop(), threading.Event()
    queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def work() -> None:
        try:
            for item in make(stop.is_set):
                loop.call_soon_threadsafe(queue.put_nowait, item)
        finally:
            loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=work, daemon=True).start()
    looking = asyncio.create_task(_stop_once(is_unwanted, stop)) if is_unwanted else None
    try:
        while (item := await queue.get()) is not None:
            yield item
    finally:
        stop.set()
        if looking:
            looking.cancel()


async def _stop_once(is_unwanted: Callable[[], Awaitable[bool]], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            if await is_unwanted():
                stop.set()
        except Exception as error:  # a call that cannot be asked about goes on
            log.warning("whether a call is still wanted cannot be told: %r", error)
        await asyncio.sleep(LOOK)


class ColdStart:
    """How much of a machine's start a call had to wait for."""

    def __init__(self) -> None:
        self._ready = 0.0

    def is_over(self) -> None:
        """The model can be used."""
        self._ready = time.time()

    def seconds_for(self, sent_at: float | None) -> float:
        """For a call that was sent at that moment (seconds since 1970): what came before this
        process, to boot the machine, is part of it."""
        return 0.0 if sent_at is None else max(0.0, self._ready - sent_at)
