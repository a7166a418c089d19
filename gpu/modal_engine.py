"""STT_ENGINE=modal: recordings are transcribed by KyutaiSTTModel on Modal's GPUs.

A long recording goes up in parts of a few minutes, cut in silence, several at once; their words
come back in order. Modal is looked up at the first recording, not before.
"""

from __future__ import annotations

import json
import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import modal
from aiohttp import ClientError
from grpclib.exceptions import StreamTerminatedError
from modal.exception import (
    AuthError,
    ConnectionError,
    FunctionTimeoutError,
    InternalError,
    InternalFailure,
    NotFoundError,
    ResourceExhaustedError,
    ServiceError,
)

from gpu import cancellation, codec, config, pcm
from gpu.connectivity import Breaker, probe
from gpu.types import (
    Audio,
    Cancelled,
    Complete,
    DeadlineExceeded,
    DeviceLost,
    EngineError,
    EngineEvent,
    Metadata,
    NotAuthenticated,
    NotDeployed,
    OutOfMemory,
    Partial,
    Segment,
    Span,
    Spent,
    Unreachable,
    UnsupportedLanguage,
    Word,
    error_of,
)
from gpu.windows import pack
from gpu.words import in_order

log = logging.getLogger(__name__)

LANGUAGE = "en"  # the only one that the model knows
PART, IN_FLIGHT = 240.0, 4  # seconds of a part; parts that are on their way at once
TRIES, BACKOFF = 3, 1.0  # attempts at a part; seconds before the second, doubled for the third
POLL = 0.1  # seconds between two looks at whether anybody still wants the words
PROBE, AGAIN = 4.0, 1.0  # seconds of silence after which we ask if Modal is still there, and again
MISSES = 3  # times in a row that nobody answers, after which nobody is there
CANCEL_TIMEOUT = 3.0  # seconds that we wait until all calls of a recording know
TRANSIENT = (Unreachable, OutOfMemory, DeviceLost)


class ModalEngine:
    """One for all threads of the process."""

    name = "modal"

    def __init__(self) -> None:
        self._breaker = Breaker()

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """See `gpu.types.Engine`."""
        if (audio.language or LANGUAGE) != LANGUAGE:
            raise UnsupportedLanguage(f"Kyutai STT knows English only, not {audio.language!r}")
        self._breaker.check()
        try:
            probe()
            for event in _merged(self._parts(audio, stopped)):
                self._breaker.succeeded()
                yield event
        except Unreachable as error:
            self._breaker.failed(error)
            raise
        except (NotDeployed, NotAuthenticated):
            self._breaker.succeeded()  # whatever they say, they answer
            raise

    @staticmethod
    def _parts(audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """The events of part after part, while the next ones are under way already."""
        deadline = time.monotonic() + config.MODAL_COLD_START + audio.duration
        waiting = deque(Part(_cut(audio, window)) for window in pack(audio.spans, PART))
        running: deque[Part] = deque()
        try:
            while waiting or running:
                while waiting and len(running) < IN_FLIGHT:
                    running.append(waiting.popleft())
                    running[-1].start()
                try:
                    for event in running[0].events(stopped, deadline):
                        yield from _spent(running)
                        yield event
                except EngineError:
                    yield from _spent(running)
                    raise
                running.popleft()
        finally:
            _end(running)


def _end(parts: Iterable[Part]) -> None:
    """All of their calls, at once; waits for that only a moment."""
    threads = [thread for thread in [part.cancel() for part in parts] if thread]
    until = time.monotonic() + CANCEL_TIMEOUT
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def _spent(parts: Iterable[Part]) -> Iterator[Spent]:
    """What they have told since they were asked last, also those that nobody listens to yet."""
    for part in parts:
        while part.spent:
            yield part.spent.popleft()


def _cut(audio: Audio, window: Span) -> Audio:
    """The same recording with the speech of one window only."""
    inside = (s for s in audio.spans if s.end > window.start and s.start < window.end)
    spans = (Span(max(s.start, window.start), min(s.end, window.end)) for s in inside)
    return replace(audio, spans=tuple(spans))


def _merged(events: Iterator[EngineEvent]) -> Iterator[EngineEvent]:
    """One Metadata and one Complete for all parts; words in order where parts meet; and parts that
    have waited for the same machine have waited once."""
    begun, meters, now, loaded = False, [], 0.0, 0.0
    for event in events:
        match event:
            case Complete():
                meters.append(event)
            case Metadata() if begun:
                pass
            case Metadata():
                begun = True
                yield event
            case Segment():
                words = tuple(in_order(event.words, now))
                now = words[-1].end
                yield Segment(words)
            case Spent():
                more = max(0.0, event.load_seconds - loaded)
                loaded += more
                yield replace(event, load_seconds=more)
            case _:
                yield event
    yield Complete(
        audio_seconds=sum(meter.audio_seconds for meter in meters),
        decode_seconds=sum(meter.decode_seconds for meter in meters),
        queue_seconds=sum(meter.queue_seconds for meter in meters),
        load_seconds=max([loaded, *(meter.load_seconds for meter in meters)]),
        gpu=next((meter.gpu for meter in meters), ""),
    )


class Part:
    """A few minutes of a recording on their way through one call, or several if one breaks off."""

    def __init__(self, audio: Audio) -> None:
        self.todo = audio
        self.spent: deque[Spent] = deque()
        self._speech = sum(span.end - span.start for span in audio.spans)  # seconds
        self._used = Spent(0.0)  # by this call
        self._lost = Spent(0.0)  # by calls that broke off
        self._events: queue.Queue[EngineEvent | EngineError | None] = queue.Queue()
        self._cancelled = threading.Event()
        self._ticket = ""  # of this call
        self._heard = 0.0  # when something was heard last
        self._misses = 0  # times in a row that nobody answered
        self._begun = False

    def start(self) -> None:
        """Sends it. The call blocks, so it has a thread of its own."""
        self._heard = time.monotonic()
        threading.Thread(target=self._run, daemon=True, name="modal-part").start()

    def events(self, stopped: Callable[[], bool], deadline: float) -> Iterator[EngineEvent]:
        """What it says. Raises EngineError; Cancelled once `stopped()`."""
        asked = time.monotonic()
        while True:
            try:
                event = self._events.get(timeout=POLL)
            except queue.Empty:
                asked = self._still_there(asked)
            else:
                if event is None:
                    return
                if isinstance(event, EngineError):
                    raise event
                yield event
            if stopped():
                raise Cancelled("the caller asked to stop")
            if time.monotonic() > deadline:
                raise DeadlineExceeded("the deadline has passed")

    def cancel(self) -> threading.Thread | None:
        """Ends the call where it runs, in a thread; others on the same GPU go on."""
        self._cancelled.set()
        return cancellation.hand_in(self._ticket) if self._ticket else None

    def _still_there(self, asked: float) -> float:
        """Nothing was heard. Raises if it has been too long, or if nobody is there any more."""
        now = time.monotonic()
        longest = config.MODAL_SILENCE if self._begun else config.MODAL_COLD_START
        if now - self._heard > longest:
            raise DeadlineExceeded(f"Modal said nothing for {longest:.0f} s")
        if now - max(self._heard, asked) < (AGAIN if self._misses else PROBE):
            return asked
        try:
            probe()
            self._misses = 0
        except Unreachable:
            self._misses += 1
            if self._misses >= MISSES:
                raise
        return time.monotonic()

    # --- In its own thread ----------------------------------------------------------------------

    def _run(self) -> None:
        for attempt in range(1, TRIES + 1):
            try:
                for event in self._heard_events():
                    if isinstance(event, Spent):
                        self._used += event
                        self.spent.append(event)
                    else:
                        self._events.put(event)
            except Exception as error:
                problem = translated(error)
                again = isinstance(problem, TRANSIENT) and attempt < TRIES
                log.warning("attempt %d of a part: %s", attempt, problem)
                if again and not self._cancelled.wait(BACKOFF * 2 ** (attempt - 1)):
                    continue
                self._events.put(problem)
                return
            self._events.put(None)
            return

    def _heard_events(self) -> Iterator[EngineEvent]:
        """One call. What has been heard is not asked for again by the next one."""
        self._lost, self._used = self._lost + self._used, Spent(0.0)
        if self._ticket:  # what has broken off for us may go on over there, and be paid for
            cancellation.hand_in(self._ticket)
        if not self.todo.spans:  # the last segment came, and then the call broke off
            yield self._whole(Complete(0.0, 0.0))
            return
        self._ticket, self._begun, self._heard = cancellation.new(), False, time.monotonic()
        if self._cancelled.is_set():  # before it had a ticket
            return
        start, end = self.todo.spans[0].start, self.todo.spans[-1].end
        try:
            data = codec.encode(pcm.read(self.todo.path, start, end))
        except OSError as error:  # which is no fault of the connection
            raise EngineError(f"the audio cannot be read: {error!r}") from error
        spans = [(span.start - start, span.end - start) for span in self.todo.spans]
        model = modal.Cls.from_name(config.MODAL_APP, config.MODAL_CLASS)()
        run = ""
        call = (data, spans, self.todo.language, time.time(), self._ticket)
        for line in model.transcribe_stream.remote_gen(*call):
            self._heard = time.monotonic()
            message = json.loads(line)
            self._begun = True
            run = run or message["run"]
            if message["run"] != run:  # it need not say what the first one would have said
                raise Unreachable("the machine was taken away, and another one has begun anew")
            if self._cancelled.is_set():
                return
            event = event_of(message, start, end)
            yield self._whole(event) if isinstance(event, Complete) else event
            if isinstance(event, Segment):
                self.todo = self.todo.after(event.end)

    def _whole(self, meter: Complete) -> Complete:
        """The meter with what calls that broke off have used."""
        return Complete(
            audio_seconds=self._speech,
            decode_seconds=meter.decode_seconds + self._lost.decode_seconds,
            queue_seconds=meter.queue_seconds + self._lost.queue_seconds,
            load_seconds=meter.load_seconds + self._lost.load_seconds,
            gpu=meter.gpu or self._lost.gpu,
        )


def event_of(message: dict[str, Any], start: float, end: float = math.inf) -> EngineEvent:
    """An event from its JSON; times are moved by `start` and end at `end`. Raises the EngineError
    that it tells."""
    match message["type"]:
        case "metadata":
            return Metadata(message["language"], message["model"])
        case "partial":
            return Partial(_words(message, start, end))
        case "segment":
            return Segment(_words(message, start, end))
        case "spent":
            return Spent(
                message["gpu_seconds"],
                message["gpu"],
                message["queue_seconds"],
                message["load_seconds"],
            )
        case "complete":
            return Complete(
                message["audio_seconds"],
                message["gpu_seconds"],
                message["queue_seconds"],
                message["load_seconds"],
                message["gpu"],
            )
        case _:
            raise error_of(message)


def _words(message: dict[str, Any], start: float, end: float) -> tuple[Word, ...]:
    def at(time: float) -> float:
        return round(min(time + start, end), 3)

    return tuple(Word(at(w["start"]), at(w["end"]), w["text"]) for w in message["words"])


def translated(error: Exception) -> EngineError:
    """What Modal's client raises, as one of ours: with what the operator can do about it."""
    match error:
        case EngineError():
            return error
        case NotFoundError():
            return NotDeployed(
                f"Modal has no app {config.MODAL_APP!r} with a class {config.MODAL_CLASS}: "
                f"deploy it with `modal deploy gpu/app.py` ({error})"
            )
        case AuthError():
            return NotAuthenticated(
                "Modal does not accept the token: run `modal token new`, or set MODAL_TOKEN_ID "
                f"and MODAL_TOKEN_SECRET ({error})"
            )
        case FunctionTimeoutError():
            return DeadlineExceeded(f"the call ran into MODAL_TIMEOUT: {error}")
        case ResourceExhaustedError():
            return OutOfMemory(f"Modal is out of resources: {error!r}")
        case ConnectionError() | OSError() | StreamTerminatedError() | ClientError():
            return Unreachable(f"the connection to Modal broke off: {error!r}")
        case InternalError() | InternalFailure() | ServiceError():
            return Unreachable(f"the connection to Modal broke off: {error!r}")
        case _ if "out of memory" in str(error).lower():
            return OutOfMemory(f"the GPU is out of memory: {error!r}")
        case _:
            return EngineError(f"the call failed at Modal: {error!r}")
