"""Calls of generators at Modal: they are watched, cancelled, and repeated if they are lost."""

from __future__ import annotations

import contextvars
import json
import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

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

from gpu import config
from gpu.modal import cancellation
from gpu.modal.connectivity import CircuitBreaker, probe
from gpu.types import (
    Cancelled,
    DeadlineExceeded,
    DeviceLost,
    EngineError,
    NotAuthenticated,
    NotDeployed,
    OutOfMemory,
    Unreachable,
    UsageDelta,
)

log = logging.getLogger(__name__)

# Attempts at a call, and the delay before the second one, doubled for each further one.
MAX_ATTEMPTS, BACKOFF_S = 3, 1.0
POLL_INTERVAL_S = 0.1  # between two checks whether the caller has stopped
# Silence of a call after which Modal is probed, and the time between failed probes.
PROBE_AFTER_S, PROBE_AGAIN_AFTER_S = 4.0, 1.0
MAX_FAILED_PROBES = 3  # consecutive ones
CANCEL_TIMEOUT_S = 3.0  # for which the end of a recording waits for its calls to be cancelled
TRANSIENT = (Unreachable, OutOfMemory, DeviceLost)

Event = TypeVar("Event")
Message = dict[str, Any]


class RemoteCall(ABC, Generic[Event]):
    """One request of a caller to Modal: one call, or several if calls are interrupted."""

    max_attempts = MAX_ATTEMPTS

    def __init__(self) -> None:
        self.usage: deque[UsageDelta] = deque()  # not taken yet
        self._call_usage = UsageDelta(0.0)
        self._interrupted_usage = UsageDelta(0.0)  # of earlier calls
        self._events: queue.Queue[Event | EngineError | None] = queue.Queue()
        self._cancelled = threading.Event()
        self._call_id = ""
        self._last_message_at = 0.0  # on the monotonic clock
        self._failed_probes = 0  # consecutive ones
        self._has_begun = False  # whether the call has sent a message
        self._probed_at = 0.0  # on the monotonic clock
        self.is_over = False  # all events have been yielded

    def start(self) -> None:
        """Calls Modal, in a thread, as the call blocks."""
        self._last_message_at = self._probed_at = time.monotonic()
        context = contextvars.copy_context()  # so that its log lines and spans have the same ids
        arguments = (self._run,)
        threading.Thread(target=context.run, args=arguments, daemon=True, name="modal-call").start()

    def events(self, stopped: Callable[[], bool], deadline: float) -> Iterator[Event]:
        """Its events. Raises EngineError; Cancelled once `stopped()` returns true.

        `deadline` is on the monotonic clock.
        """
        while not self.is_over:
            yield from self.due(stopped, POLL_INTERVAL_S)
            if time.monotonic() > deadline:
                raise DeadlineExceeded("the deadline has passed")

    def due(self, stopped: Callable[[], bool], timeout: float = 0.0) -> Iterator[Event]:
        """The events that have arrived; waits up to `timeout` seconds for the first one.

        Raises as `events`.
        """
        is_empty = False
        while not is_empty and not self.is_over:
            try:
                event = self._events.get(block=timeout > 0, timeout=timeout or None)
            except queue.Empty:
                is_empty = True
                self._check_silence()
            else:
                timeout = 0.0
                if event is None:
                    self.is_over = True
                    return
                if isinstance(event, EngineError):
                    raise event
                yield event
            if stopped():
                raise Cancelled("the caller asked to stop")

    def fail(self, error: Exception) -> None:
        """Ends it for its reader, with the error that Modal's client raised."""
        self._events.put(translate_error(error))

    def cancel(self) -> threading.Thread | None:
        """Cancels the call where it runs, in the thread that is returned."""
        self._cancelled.set()
        return cancellation.cancel(self._call_id) if self._call_id else None

    def silence_timeout_s(self) -> float:
        """Seconds without a message after which a call that has begun is given up."""
        return config.MODAL_SILENCE_TIMEOUT_S

    def _check_silence(self) -> None:
        """Raises if the call has been silent for too long, or if Modal no longer responds."""
        now = time.monotonic()
        timeout = self.silence_timeout_s() if self._has_begun else config.MODAL_STARTUP_TIMEOUT_S
        if now - self._last_message_at > timeout:
            raise DeadlineExceeded(f"Modal sent nothing for {timeout:.0f} s")
        interval = PROBE_AGAIN_AFTER_S if self._failed_probes else PROBE_AFTER_S
        if now - max(self._last_message_at, self._probed_at) < interval:
            return
        try:
            probe()
            self._failed_probes = 0
        except Unreachable:
            self._failed_probes += 1
            if self._failed_probes >= MAX_FAILED_PROBES:
                raise
        self._probed_at = time.monotonic()

    # --- In its own thread ----------------------------------------------------------------------

    @abstractmethod
    def attempt(self) -> Iterator[Event | UsageDelta]:
        """The events of one call, from its `messages`, for what has not been received yet."""

    @abstractmethod
    def lines(self, call_id: str) -> Iterator[str]:
        """Sends the audio with that id; yields messages as JSON."""

    def _run(self) -> None:
        for attempt in range(1, self.max_attempts + 1):
            self._interrupted_usage += self._call_usage
            self._call_usage = UsageDelta(0.0)
            try:
                for event in self.attempt():
                    if isinstance(event, UsageDelta):
                        self._call_usage += event
                        self.usage.append(event)
                    else:
                        self._events.put(event)
            except Exception as error:
                problem = translate_error(error)
                try_again = isinstance(problem, TRANSIENT) and attempt < self.max_attempts
                log.warning("attempt %d of a call: %s", attempt, problem)
                if try_again and not self._cancelled.wait(BACKOFF_S * 2 ** (attempt - 1)):
                    continue
                self._events.put(problem)
                return
            self._events.put(None)
            return

    def messages(self) -> Iterator[Message]:
        """The messages of a new call. Ends early once it is cancelled."""
        if self._call_id:  # an interrupted call may still run, and cost money
            cancellation.cancel(self._call_id)
        self._call_id, self._has_begun = cancellation.new_call_id(), False
        self._last_message_at = time.monotonic()
        if self._cancelled.is_set():  # before there was an id
            return
        attempt_id = ""
        for line in self.lines(self._call_id):
            self._last_message_at = time.monotonic()
            message = json.loads(line)
            self._has_begun = True
            attempt_id = attempt_id or message["attempt_id"]
            if message["attempt_id"] != attempt_id:  # its output may differ from the first one's
                raise Unreachable("the container was preempted, and another one has started again")
            if self._cancelled.is_set():
                return
            yield message


def cancel(calls: Iterable[RemoteCall[Any]]) -> None:
    """Cancels all of them in parallel, and waits for that at most CANCEL_TIMEOUT_S."""
    threads = [thread for thread in [call.cancel() for call in calls] if thread]
    deadline = time.monotonic() + CANCEL_TIMEOUT_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def take_usage(calls: Iterable[RemoteCall[Any]]) -> Iterator[UsageDelta]:
    """The new usage of all calls, including those whose events have not been read yet."""
    for call in calls:
        while call.usage:
            yield call.usage.popleft()


def guarded(circuit: CircuitBreaker, events: Iterable[Event]) -> Iterator[Event]:
    """The events of calls, if Modal can be reached. Raises EngineError."""
    circuit.check()
    try:
        probe()
        for event in events:
            circuit.record_success()
            yield event
    except Unreachable as error:
        circuit.record_failure(error)
        raise
    except (NotDeployed, NotAuthenticated):
        circuit.record_success()  # Modal can be reached
        raise


def usage_from_message(message: Message) -> UsageDelta:
    """Read a message of the type `usage`."""
    return UsageDelta(
        message["gpu_seconds"], message["gpu"], message["queue_seconds"], message["load_seconds"]
    )


def translate_error(error: Exception) -> EngineError:
    """The EngineError for an error of Modal's client; its text says what the operator can do."""
    match error:
        case EngineError():
            return error
        case NotFoundError():
            return NotDeployed(
                f"Modal has no app {config.MODAL_APP!r} with the class that is needed: deploy it "
                f"with `modal deploy gpu/app.py`, with the same settings as here ({error})"
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
