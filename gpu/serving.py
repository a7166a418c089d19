"""Serves one call in a container: encoded audio in, messages out. Does not use Modal."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
import time
import wave
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Sequence,
)
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from gpu import codec, pcm, tracing
from gpu.joining import join
from gpu.types import (
    Audio,
    Complete,
    Engine,
    EngineError,
    LiveAudio,
    LiveEvent,
    Metadata,
    Partial,
    Segment,
    Span,
    TurnEnded,
    TurnStarted,
    UsageDelta,
    Word,
    error_from_message,
)

log = logging.getLogger(__name__)

CUT_SEARCH_S = 15.0  # before the end of a window, in which the quietest place is searched
LOUDNESS_FRAME_S = 0.1
POLL_INTERVAL_S = 1.0  # between two checks whether a call was cancelled

Message = dict[str, Any]


def transcribe(
    engine: Engine,
    data: bytes,
    spans: Sequence[tuple[float, float]] | None,
    language: str | None,
    stopped: Callable[[], bool],
    traceparent: str = "",
) -> Iterator[Message]:
    """The messages of one call, the last of them `complete` or `error`. Its span belongs to the
    trace of `traceparent`."""

    def messages() -> Iterator[Message]:
        with tempfile.TemporaryDirectory() as folder:
            audio = read_audio(data, Path(folder), spans, language)
            for event in engine.stream(audio, stopped):
                yield message_of(event)

    return with_error(messages(), "gpu.transcribe", traceparent)


def listen(
    engine: Engine, audio: LiveAudio, stopped: Callable[[], bool], traceparent: str = ""
) -> Iterator[Message]:
    """The same for a live session."""
    messages = (message_of(event) for event in engine.live(audio, stopped))
    return with_error(messages, "gpu.live", traceparent)


def with_error(messages: Iterator[Message], span: str, traceparent: str) -> Iterator[Message]:
    """The messages; if they end with an error, it is the last one. The span with that name belongs
    to the trace of `traceparent`."""
    try:
        with tracing.span(span, tracing.parent_from(traceparent)):
            yield from messages
    except EngineError as error:
        yield {
            "type": "error",
            "code": error.code,
            "detail": error.user_message,
            "reason": str(error),
        }
    except Exception as error:  # whatever it is, the caller must be told
        log.exception("a call failed")
        is_memory = "out of memory" in str(error).lower()
        yield {
            "type": "error",
            "code": "out_of_memory" if is_memory else EngineError.code,
            "detail": EngineError.user_message,
            "reason": repr(error),
        }


def read_audio(
    data: bytes,
    folder: Path,
    spans: Sequence[tuple[float, float]] | None = None,
    language: str | None = None,
) -> Audio:
    """Prepares any recording for an engine: decoded, mixed to mono, resampled to 24 kHz.

    Without `spans` (seconds) all of it counts as speech and is cut where it is quiet. Raises
    BadAudio.
    """
    samples = codec.decode(data)
    path = folder / "audio.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(pcm.SAMPLE_RATE_HZ)
        out.writeframes(samples.tobytes())
    speech = cut_where_quiet(samples) if spans is None else [Span(a, b) for a, b in spans]
    return Audio(path, len(samples) / pcm.SAMPLE_RATE_HZ, tuple(speech), language)


def cut_where_quiet(
    samples: np.ndarray[Any, np.dtype[np.int16]], max_s: float = 60.0
) -> list[Span]:
    """Spans of up to `max_s` seconds, each ending at the quietest place near its end."""
    step = int(LOUDNESS_FRAME_S * pcm.SAMPLE_RATE_HZ)
    whole = samples[: len(samples) // step * step].astype(np.float32)
    loudness = np.square(whole).reshape(-1, step).mean(axis=1)
    spans, start, end = [], 0, len(samples) / pcm.SAMPLE_RATE_HZ
    max_frames, search = int(max_s / LOUDNESS_FRAME_S), int(CUT_SEARCH_S / LOUDNESS_FRAME_S)
    while len(loudness) - start > max_frames:
        near_end = loudness[start + max_frames - search : start + max_frames]
        cut = start + max_frames - search + int(near_end.argmin())
        spans.append(Span(start * LOUDNESS_FRAME_S, cut * LOUDNESS_FRAME_S))
        start = cut
    last = start * LOUDNESS_FRAME_S
    return [*spans, Span(last, end)] if end > last else spans


# --- Events as messages (JSON) --------------------------------------------------------------------


def message_of(event: LiveEvent) -> Message:
    """The message for an event of an engine."""
    match event:
        case Metadata():
            return {"type": "metadata", "language": event.language, "model": event.model}
        case Partial():
            words = {"words": _words(event.words), "tentative": event.tentative}
            return {"type": "partial", "text": event.text, **words}
        case Segment():
            times = {"start": event.start, "end": event.end}
            return {"type": "segment", **times, "text": event.text, "words": _words(event.words)}
        case TurnStarted():
            return {"type": "turn_started", "start": event.start}
        case TurnEnded():
            return {"type": "turn_ended", "end": event.end, "commit": event.commit}
        case UsageDelta():
            return usage_message(event)
        case Complete():
            return {
                "type": "complete",
                "audio_seconds": event.audio_seconds,
                "gpu_seconds": event.decode_seconds,
                "queue_seconds": event.queue_seconds,
                "load_seconds": event.load_seconds,
                "gpu": event.gpu,
            }


def usage_message(usage: UsageDelta) -> Message:
    """The message of the type `usage`."""
    return {
        "type": "usage",
        "gpu_seconds": usage.decode_seconds,
        "queue_seconds": usage.queue_seconds,
        "load_seconds": usage.load_seconds,
        "gpu": usage.gpu,
    }


def _words(words: tuple[Word, ...]) -> list[Message]:
    return [{"start": word.start, "end": word.end, "text": word.text} for word in words]


def transcript_of(messages: Iterator[Message]) -> dict[str, Any]:
    """All messages of a call as one result. Raises the EngineError that ended it."""
    transcript: dict[str, Any] = {"text": "", "segments": []}
    for message in messages:
        message_type = message.pop("type")
        if message_type == "error":
            raise error_from_message(message)
        if message_type == "segment":
            transcript["segments"].append({"id": len(transcript["segments"]) + 1, **message})
        elif message_type in ("metadata", "complete"):
            transcript |= message
    transcript["text"] = join(segment["text"] for segment in transcript["segments"])
    return transcript


async def iterate_in_thread(
    create: Callable[[Callable[[], bool]], Iterator[Message]],
    is_cancelled: Callable[[], Awaitable[bool]] | None = None,
) -> AsyncIterator[Message]:
    """Runs the blocking iterator that `create(stopped)` returns in a thread; yields its items.

    `stopped` returns true once `is_cancelled`, which is awaited regularly, returns true, or this
    generator is closed.
    """
    loop, stop = asyncio.get_running_loop(), threading.Event()
    queue: asyncio.Queue[Message | None] = asyncio.Queue()

    def work() -> None:
        try:
            for item in create(stop.is_set):
                loop.call_soon_threadsafe(queue.put_nowait, item)
        finally:
            loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=work, daemon=True).start()
    polling = asyncio.create_task(_stop_when(is_cancelled, stop)) if is_cancelled else None
    try:
        while (item := await queue.get()) is not None:
            yield item
    finally:
        stop.set()
        if polling:
            polling.cancel()


async def with_signs(
    messages: AsyncGenerator[Message, None], interval_s: float
) -> AsyncIterator[Message]:
    """The same messages, and one of the type `alive` whenever none has come for `interval_s`."""
    upcoming: asyncio.Future[Message] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(anext(messages))
            done, _ = await asyncio.wait([upcoming], timeout=interval_s)
            if not done:
                yield {"type": "alive"}
                continue
            message, upcoming = upcoming, None
            try:
                yield message.result()
            except StopAsyncIteration:
                return
    finally:
        if upcoming:
            upcoming.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await upcoming
        await messages.aclose()


async def _stop_when(is_cancelled: Callable[[], Awaitable[bool]], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            if await is_cancelled():
                stop.set()
        except Exception as error:  # the call continues
            log.warning("cannot check whether a call was cancelled: %r", error)
        await asyncio.sleep(POLL_INTERVAL_S)


class ColdStart:
    """Measures how long calls had to wait for this container to start."""

    def __init__(self) -> None:
        self._ready_at = 0.0

    def finish(self) -> None:
        """Called when the model can be used."""
        self._ready_at = time.time()

    def seconds_for(self, sent_at: float | None) -> float:
        """For a call that was sent at `sent_at` (seconds since 1970).

        This includes the start of the machine, before that of this process.
        """
        return 0.0 if sent_at is None else max(0.0, self._ready_at - sent_at)
