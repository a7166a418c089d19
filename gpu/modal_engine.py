"""STT_ENGINE=modal: recordings are transcribed by KyutaiSTTModel on Modal's GPUs.

A long recording is cut in silence into parts of a few minutes, which are sent in parallel; their
words come back in order. Modal is not contacted before the first recording.
"""

from __future__ import annotations

import contextvars
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

from gpu import cancellation, codec, config, pcm, tracing
from gpu.connectivity import CircuitBreaker, probe
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
    Unreachable,
    UnsupportedLanguage,
    UnsupportedTask,
    UsageDelta,
    Word,
    error_from_message,
)
from gpu.windows import pack
from gpu.words import in_order

log = logging.getLogger(__name__)

LANGUAGE = "en"  # the only one that the model supports
MAX_PART_S, MAX_PARTS_IN_FLIGHT = 240.0, 4
# Attempts at a part, and the delay before the second one, doubled for each further one.
MAX_ATTEMPTS, BACKOFF_S = 3, 1.0
POLL_INTERVAL_S = 0.1  # between two checks whether the caller has stopped
# Silence of a call after which Modal is probed, and the time between failed probes.
PROBE_AFTER_S, PROBE_AGAIN_AFTER_S = 4.0, 1.0
MAX_FAILED_PROBES = 3  # consecutive ones
CANCEL_TIMEOUT_S = 3.0  # that the end of a recording waits for its calls to be cancelled
TRANSIENT = (Unreachable, OutOfMemory, DeviceLost)


class ModalEngine:
    """One for all threads of the process."""

    name = "modal"

    def __init__(self) -> None:
        self._circuit = CircuitBreaker()

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """See `gpu.types.Engine`."""
        if audio.excludes(LANGUAGE):
            requested = audio.language or ", ".join(audio.options.languages)
            raise UnsupportedLanguage(f"Kyutai STT supports only English, not {requested!r}")
        if audio.options.translate:
            raise UnsupportedTask("Kyutai STT cannot translate")
        self._circuit.check()
        try:
            probe()
            for event in _merge_parts(self._events_of_parts(audio, stopped)):
                self._circuit.record_success()
                yield event
        except Unreachable as error:
            self._circuit.record_failure(error)
            raise
        except (NotDeployed, NotAuthenticated):
            self._circuit.record_success()  # Modal can be reached
            raise

    @staticmethod
    def _events_of_parts(audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """The events of the parts in order, while the next parts are already in flight."""
        deadline = time.monotonic() + config.MODAL_STARTUP_TIMEOUT_S + audio.duration
        waiting = deque(Part(_only(audio, window)) for window in pack(audio.spans, MAX_PART_S))
        running: deque[Part] = deque()
        try:
            while waiting or running:
                while waiting and len(running) < MAX_PARTS_IN_FLIGHT:
                    running.append(waiting.popleft())
                    running[-1].start()
                try:
                    for event in running[0].events(stopped, deadline):
                        yield from _take_usage(running)
                        yield event
                except EngineError:
                    yield from _take_usage(running)
                    raise
                running.popleft()
        finally:
            _cancel(running)


def _cancel(parts: Iterable[Part]) -> None:
    """Cancels the calls of all parts in parallel; waits for that at most CANCEL_TIMEOUT_S."""
    threads = [thread for thread in [part.cancel() for part in parts] if thread]
    deadline = time.monotonic() + CANCEL_TIMEOUT_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _take_usage(parts: Iterable[Part]) -> Iterator[UsageDelta]:
    """The new usage of all parts, also of those whose events are not read yet."""
    for part in parts:
        while part.usage:
            yield part.usage.popleft()


def _only(audio: Audio, window: Span) -> Audio:
    """The same recording with the speech of one window only."""
    inside = (s for s in audio.spans if s.end > window.start and s.start < window.end)
    spans = (Span(max(s.start, window.start), min(s.end, window.end)) for s in inside)
    return replace(audio, spans=tuple(spans))


def _merge_parts(events: Iterator[EngineEvent]) -> Iterator[EngineEvent]:
    """One Metadata and one Complete for all parts.

    Words are in order where parts meet, and the start of a container counts once, although all
    parts have waited for it.
    """
    has_begun, completes, end, load_seconds = False, [], 0.0, 0.0
    for event in events:
        match event:
            case Complete():
                completes.append(event)
            case Metadata() if has_begun:
                pass
            case Metadata():
                has_begun = True
                yield event
            case Segment():
                words = tuple(in_order(event.words, end))
                end = words[-1].end
                yield Segment(words)
            case UsageDelta():
                more = max(0.0, event.load_seconds - load_seconds)
                load_seconds += more
                yield replace(event, load_seconds=more)
            case _:
                yield event
    yield Complete(
        audio_seconds=sum(complete.audio_seconds for complete in completes),
        decode_seconds=sum(complete.decode_seconds for complete in completes),
        queue_seconds=sum(complete.queue_seconds for complete in completes),
        load_seconds=max([load_seconds, *(complete.load_seconds for complete in completes)]),
        gpu=next((complete.gpu for complete in completes), ""),
    )


class Part:
    """A few minutes of a recording: one call, or several if calls are interrupted."""

    def __init__(self, audio: Audio) -> None:
        self.remaining = audio  # without the speech whose segments were received
        self.usage: deque[UsageDelta] = deque()  # not taken yet
        self._speech_seconds = sum(span.end - span.start for span in audio.spans)
        self._call_usage = UsageDelta(0.0)
        self._interrupted_usage = UsageDelta(0.0)  # of earlier calls
        self._events: queue.Queue[EngineEvent | EngineError | None] = queue.Queue()
        self._cancelled = threading.Event()
        self._call_id = ""
        self._last_message_at = 0.0  # on the monotonic clock
        self._failed_probes = 0  # consecutive ones
        self._has_begun = False  # whether the call has sent a message

    def start(self) -> None:
        """Calls Modal, in a thread, as the call blocks."""
        self._last_message_at = time.monotonic()
        context = contextvars.copy_context()  # so that its log lines and spans have the same ids
        arguments = (self._run,)
        threading.Thread(target=context.run, args=arguments, daemon=True, name="modal-part").start()

    def events(self, stopped: Callable[[], bool], deadline: float) -> Iterator[EngineEvent]:
        """Its events. Raises EngineError; Cancelled once `stopped()` returns true.

        `deadline` is on the monotonic clock.
        """
        probed_at = time.monotonic()
        while True:
            try:
                event = self._events.get(timeout=POLL_INTERVAL_S)
            except queue.Empty:
                probed_at = self._check_silence(probed_at)
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
        """Cancels the call where it runs, in the thread that is returned."""
        self._cancelled.set()
        return cancellation.cancel(self._call_id) if self._call_id else None

    def _check_silence(self, probed_at: float) -> float:
        """Raises if the call has been silent for too long, or if Modal does not answer any more.

        Returns when Modal was last probed.
        """
        now = time.monotonic()
        timeout = (
            config.MODAL_SILENCE_TIMEOUT_S if self._has_begun else config.MODAL_STARTUP_TIMEOUT_S
        )
        if now - self._last_message_at > timeout:
            raise DeadlineExceeded(f"Modal sent nothing for {timeout:.0f} s")
        interval = PROBE_AGAIN_AFTER_S if self._failed_probes else PROBE_AFTER_S
        if now - max(self._last_message_at, probed_at) < interval:
            return probed_at
        try:
            probe()
            self._failed_probes = 0
        except Unreachable:
            self._failed_probes += 1
            if self._failed_probes >= MAX_FAILED_PROBES:
                raise
        return time.monotonic()

    # --- In its own thread ----------------------------------------------------------------------

    def _run(self) -> None:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                for event in self._call():
                    if isinstance(event, UsageDelta):
                        self._call_usage += event
                        self.usage.append(event)
                    else:
                        self._events.put(event)
            except Exception as error:
                problem = translate_error(error)
                try_again = isinstance(problem, TRANSIENT) and attempt < MAX_ATTEMPTS
                log.warning("attempt %d of a part: %s", attempt, problem)
                if try_again and not self._cancelled.wait(BACKOFF_S * 2 ** (attempt - 1)):
                    continue
                self._events.put(problem)
                return
            self._events.put(None)
            return

    def _call(self) -> Iterator[EngineEvent]:
        """One call for the remaining speech."""
        self._interrupted_usage += self._call_usage
        self._call_usage = UsageDelta(0.0)
        if self._call_id:  # an interrupted call may still run, and cost money
            cancellation.cancel(self._call_id)
        if not self.remaining.spans:  # the call was interrupted after the last segment
            yield self._with_all_calls(Complete(0.0, 0.0))
            return
        self._call_id, self._has_begun = cancellation.new_call_id(), False
        self._last_message_at = time.monotonic()
        if self._cancelled.is_set():  # before there was an id
            return
        start, end = self.remaining.spans[0].start, self.remaining.spans[-1].end
        attempt_id = ""
        for line in self._lines(start, end):
            self._last_message_at = time.monotonic()
            message = json.loads(line)
            self._has_begun = True
            attempt_id = attempt_id or message["attempt_id"]
            if message["attempt_id"] != attempt_id:  # its output may differ from the first one's
                raise Unreachable("the container was preempted, and another one has started again")
            if self._cancelled.is_set():
                return
            event = event_from_message(message, start, end)
            yield self._with_all_calls(event) if isinstance(event, Complete) else event
            if isinstance(event, Segment):
                self.remaining = self.remaining.after(event.end)

    def _lines(self, start: float, end: float) -> Iterator[str]:
        """Sends the audio from `start` to `end` (seconds); yields messages as JSON."""
        try:
            data = codec.encode(pcm.read_samples(self.remaining.path, start, end))
        except OSError as error:  # not an error of the connection
            raise EngineError(f"the audio cannot be read: {error!r}") from error
        spans = [(span.start - start, span.end - start) for span in self.remaining.spans]
        model = modal.Cls.from_name(config.MODAL_APP, config.MODAL_CLASS)()
        with tracing.span("modal.transcribe_stream", call_id=self._call_id):
            # Left out without traces: an app that was deployed before does not know it.
            trace = {"traceparent": tracing.traceparent()} if tracing.is_enabled() else {}
            yield from model.transcribe_stream.remote_gen(
                data, spans, self.remaining.language, time.time(), self._call_id, **trace
            )

    def _with_all_calls(self, complete: Complete) -> Complete:
        """The usage of the last call together with that of interrupted calls."""
        interrupted = self._interrupted_usage
        return Complete(
            audio_seconds=self._speech_seconds,
            decode_seconds=complete.decode_seconds + interrupted.decode_seconds,
            queue_seconds=complete.queue_seconds + interrupted.queue_seconds,
            load_seconds=complete.load_seconds + interrupted.load_seconds,
            gpu=complete.gpu or interrupted.gpu,
        )


def event_from_message(message: dict[str, Any], start: float, end: float = math.inf) -> EngineEvent:
    """The event of a message; times are moved by `start` and limited to `end` (seconds).

    Raises the EngineError that the message reports.
    """
    match message["type"]:
        case "metadata":
            return Metadata(message["language"], message["model"])
        case "partial":
            return Partial(_words(message, start, end))
        case "segment":
            return Segment(_words(message, start, end))
        case "usage":
            return UsageDelta(
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
            raise error_from_message(message)


def _words(message: dict[str, Any], start: float, end: float) -> tuple[Word, ...]:
    def moved(time: float) -> float:
        return round(min(time + start, end), 3)

    return tuple(Word(moved(w["start"]), moved(w["end"]), w["text"]) for w in message["words"])


def translate_error(error: Exception) -> EngineError:
    """The EngineError for what Modal's client raises, with what the operator can do."""
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
            return DeadlineExceeded(f"the call exceeded MODAL_TIMEOUT: {error}")
        case ResourceExhaustedError():
            return OutOfMemory(f"Modal is out of resources: {error!r}")
        case ConnectionError() | OSError() | StreamTerminatedError() | ClientError():
            return Unreachable(f"the connection to Modal was lost: {error!r}")
        case InternalError() | InternalFailure() | ServiceError():
            return Unreachable(f"the connection to Modal was lost: {error!r}")
        case _ if "out of memory" in str(error).lower():
            return OutOfMemory(f"the GPU is out of memory: {error!r}")
        case _:
            return EngineError(f"the call failed at Modal: {error!r}")
