"""STT_ENGINE=modal: recordings are transcribed by KyutaiSTTModel on Modal's GPUs.

A long recording goes up in parts of a few minutes, cut in silence, several at once; their words
come back in order. Modal is looked up at the first recording, not before.
"""

from __future__ import annotations

import json
import logging
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

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

from gpu import codec, config, pcm
from gpu.types import (
    Audio,
    BadAudio,
    Cancelled,
    Complete,
    DeadlineExceeded,
    EngineError,
    EngineEvent,
    EngineUnavailable,
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
)
from gpu.windows import pack

log = logging.getLogger(__name__)

LANGUAGE = "en"  # the only one that the model knows
PART, IN_FLIGHT = 240.0, 4  # seconds of a part; parts that are on their way at once
TRIES, BACKOFF = 3, 1.0  # attempts at a part; seconds before the second, doubled for the third
POLL = 0.1  # seconds between two looks at whether anybody still wants the words
PROBE, PROBE_TIMEOUT = 4.0, 3.0  # seconds of silence after which we ask if Modal is still there
FAILURES, PAUSE = 3, 30.0  # failures in a row after which we do not even try for so many seconds
CANCEL_TIMEOUT = 3.0  # seconds
TRANSIENT = (Unreachable, OutOfMemory)

ERRORS = {
    kind.code: kind
    for kind in (BadAudio, Cancelled, DeadlineExceeded, EngineUnavailable, OutOfMemory)
} | {UnsupportedLanguage.code: UnsupportedLanguage}


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
            yield from _merged(self._parts(audio, stopped))
        except Unreachable as error:
            self._breaker.failed(error)
            raise
        self._breaker.succeeded()

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
            for part in running:
                part.cancel()


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
    """One Metadata and one Complete for all parts."""
    begun, meters = False, []
    for event in events:
        if isinstance(event, Complete):
            meters.append(event)
        elif not isinstance(event, Metadata):
            yield event
        elif not begun:
            begun = True
            yield event
    yield Complete(
        audio_seconds=sum(meter.audio_seconds for meter in meters),
        decode_seconds=sum(meter.decode_seconds for meter in meters),
        queue_seconds=sum(meter.queue_seconds for meter in meters),
        load_seconds=max((meter.load_seconds for meter in meters), default=0.0),
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
        self._call = ""
        self._heard = 0.0  # when something was heard last
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

    def cancel(self) -> None:
        """Ends the call where it runs; others on the same GPU go on.

        Waits for that only a moment: the client would try for a minute to reach a dead server.
        """
        self._cancelled.set()
        if self._call:
            thread = threading.Thread(target=_cancel, args=(self._call,), daemon=True)
            thread.start()
            thread.join(CANCEL_TIMEOUT)

    def _still_there(self, asked: float) -> float:
        """Nothing was heard. Raises if it has been too long, or if nobody is there any more."""
        now = time.monotonic()
        longest = config.MODAL_SILENCE if self._begun else config.MODAL_COLD_START
        if now - self._heard > longest:
            raise DeadlineExceeded(f"Modal said nothing for {longest:.0f} s")
        if now - max(self._heard, asked) < PROBE:
            return asked
        probe()
        return now

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
        if self._call:  # what has broken off for us may go on over there, and be paid for
            threading.Thread(target=_cancel, args=(self._call,), daemon=True).start()
        if not self.todo.spans:  # the last segment came, and then the call broke off
            yield Complete(self._speech, self._lost.decode_seconds, gpu=self._lost.gpu)
            return
        self._call, self._begun, self._heard = "", False, time.monotonic()
        start, end = self.todo.spans[0].start, self.todo.spans[-1].end
        data = codec.encode(pcm.read(self.todo.path, start, end))
        spans = [(span.start - start, span.end - start) for span in self.todo.spans]
        model = modal.Cls.from_name(config.MODAL_APP, config.MODAL_CLASS)()
        remote = model.transcribe_stream.remote_gen(data, spans, self.todo.language, time.time())
        for line in remote:
            self._heard = time.monotonic()
            message = json.loads(line)
            if message["type"] == "metadata":
                self._call, self._begun = message["call"], True
            if self._cancelled.is_set():
                self.cancel()
                return
            event = event_of(message, start)
            if isinstance(event, Complete):
                used = self._lost.decode_seconds + event.decode_seconds
                event = replace(event, audio_seconds=self._speech, decode_seconds=used)
            yield event
            if isinstance(event, Segment):
                self.todo = self.todo.after(event.end)


def _cancel(call: str) -> None:
    with suppress(Exception):  # whoever cannot be reached cannot be cancelled either
        modal.FunctionCall.from_id(call).cancel()


def event_of(message: dict[str, Any], start: float) -> EngineEvent:
    """An event from its JSON; times are moved by `start`. Raises the EngineError that it tells."""
    match message["type"]:
        case "metadata":
            return Metadata(message["language"], message["model"])
        case "partial":
            return Partial(_words(message, start))
        case "segment":
            return Segment(_words(message, start))
        case "spent":
            return Spent(message["gpu_seconds"], message["gpu"])
        case "complete":
            return Complete(
                message["audio_seconds"],
                message["gpu_seconds"],
                message["queue_seconds"],
                message["load_seconds"],
                message["gpu"],
            )
        case _:
            raise ERRORS.get(message.get("code", ""), EngineError)(message.get("reason", message))


def _words(message: dict[str, Any], start: float) -> tuple[Word, ...]:
    return tuple(
        Word(round(w["start"] + start, 3), round(w["end"] + start, 3), w["text"])
        for w in message["words"]
    )


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


def probe() -> None:
    """Raises Unreachable in seconds; the client itself would try for a minute."""
    problems = []
    for address in addresses():
        try:
            socket.create_connection(address, timeout=PROBE_TIMEOUT).close()
            return
        except OSError as error:
            problems.append(f"{address[0]}: {error}")
    raise Unreachable(
        f"Modal does not answer: check the network and status.modal.com ({'; '.join(problems)})"
    )


def addresses() -> list[tuple[str, int]]:
    """Hosts and ports of Modal, as its client is configured: one of them is enough."""
    urls = map(urlsplit, modal.config.config["server_url"].replace(" ", "").split(","))
    ports = {"https": 443, "http": 80}
    return [(url.hostname or "", url.port or ports.get(url.scheme, 443)) for url in urls]


class Breaker:
    """After some failures in a row nobody has to wait for another one for a while."""

    def __init__(self) -> None:
        self._failures, self._until, self._last = 0, 0.0, ""

    def check(self) -> None:
        """Raises Unreachable without trying, if it has just failed too often."""
        if self._failures >= FAILURES and time.monotonic() < self._until:
            raise Unreachable(f"not tried, as it has just failed: {self._last}")

    def failed(self, error: Unreachable) -> None:
        """One more in a row."""
        self._failures += 1
        self._until, self._last = time.monotonic() + PAUSE, str(error)

    def succeeded(self) -> None:
        """All is well again."""
        self._failures = 0
