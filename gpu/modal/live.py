"""Live speech at Modal: one call for a session, with audio to a container and events back.

A call that has lasted for most of MODAL_TIMEOUT is replaced by another one, in a pause.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator

import modal

from gpu import config, tracing
from gpu.modal.audio import Outbox
from gpu.modal.calls import POLL_INTERVAL_S, RemoteCall, cancel, take_usage
from gpu.modal.messages import live_event_from_message
from gpu.pcm import SAMPLE_RATE_HZ
from gpu.types import (
    Commit,
    Complete,
    EngineError,
    LiveAudio,
    LiveEvent,
    Metadata,
    TurnEnded,
    TurnStarted,
    Unreachable,
)

MAX_UNSENT_S = 300.0  # of audio before no more is taken: a container may have to start
# Shares of MODAL_TIMEOUT after which a call is replaced: between two turns, and in any case.
RETIRED_AFTER, REPLACED_AFTER = 0.75, 0.95


class LiveCall(RemoteCall[LiveEvent]):
    """A session, or the part of a long one that is served by one call. An interrupted call is not
    repeated: the words of what was sent may be lost, so the caller decides where to continue."""

    max_attempts = 1

    def __init__(self, audio: LiveAudio, start: float) -> None:
        """`start` is where its first sample is in the recording, in seconds."""
        super().__init__()
        self.outbox = Outbox(self.fail)
        self.began_at: float | None = None  # on the monotonic clock
        self._audio, self._start = audio, start

    @property
    def age(self) -> float:
        """The age of the call as a share of MODAL_TIMEOUT."""
        if self.began_at is None:
            return 0.0
        return (time.monotonic() - self.began_at) / config.MODAL_TIMEOUT

    def attempt(self) -> Iterator[LiveEvent]:
        """See `RemoteCall`."""
        for message in self.messages():
            if self.began_at is None:
                self.began_at = time.monotonic()
                self.outbox.start(self._call_id)
            if message["type"] != "alive":
                yield live_event_from_message(message)

    def lines(self, call_id: str) -> Iterator[str]:
        """See `RemoteCall`."""
        model = modal.Cls.from_name(config.MODAL_APP, config.MODAL_CLASS)()
        # Left out if empty: older deployments of the app do not know it.
        candidates = self._audio.options.languages
        languages = {"languages": list(candidates)} if candidates else {}
        with tracing.span("modal.live", call_id=call_id):
            yield from model.live.remote_gen(
                call_id,
                self._start,
                self._audio.language,
                self._audio.turn_silence_s,
                time.time(),
                tracing.traceparent() if tracing.is_enabled() else "",
                **languages,
            )


class LiveSession:
    """One session. It belongs to one thread."""

    def __init__(self, audio: LiveAudio) -> None:
        self._audio, self._chunks = audio, iter(audio.chunks)
        self._position = audio.start  # seconds: the end of the audio so far
        self._is_at_end = self._has_begun = self._is_turn_open = False
        self._complete = Complete(0.0, 0.0)

    def events(self, stopped: Callable[[], bool]) -> Generator[LiveEvent, None, None]:
        """See `gpu.types.Engine.live`."""
        while not self._is_at_end:
            call = LiveCall(self._audio, self._position)
            call.start()
            try:
                yield from self._merge(call, self._speak(call, stopped))
            except EngineError:
                yield from take_usage([call])
                raise
            finally:
                call.outbox.close()
                if not call.is_over:
                    cancel([call])
        yield self._complete

    def _speak(self, call: LiveCall, stopped: Callable[[], bool]) -> Iterator[LiveEvent]:
        """Sends chunks until the last one, or until the call is replaced; yields its events."""
        for chunk in self._chunks:
            call.outbox.put(chunk)
            if not isinstance(chunk, Commit):
                self._position += len(chunk) / SAMPLE_RATE_HZ
            yield from call.due(stopped)
            while call.outbox.seconds > MAX_UNSENT_S:
                yield from call.due(stopped, POLL_INTERVAL_S)
            if call.is_over:
                raise Unreachable("the call has ended before the audio")
            if call.age > (REPLACED_AFTER if self._is_turn_open else RETIRED_AFTER):
                break
        else:
            self._is_at_end = True
        call.outbox.put(None)
        while not call.is_over:
            yield from call.due(stopped, POLL_INTERVAL_S)

    def _merge(self, call: LiveCall, events: Iterator[LiveEvent]) -> Iterator[LiveEvent]:
        """One Metadata for all calls, and their usage."""
        for event in events:
            yield from take_usage([call])
            match event:
                case Complete():
                    self._complete += event
                    continue
                case Metadata() if self._has_begun:
                    continue
                case Metadata():
                    self._has_begun = True
                case TurnStarted():
                    self._is_turn_open = True
                case TurnEnded():
                    self._is_turn_open = False
            yield event
