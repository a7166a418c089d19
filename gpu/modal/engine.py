"""STT_ENGINE=modal: recordings are transcribed by KyutaiSTTModel on Modal's GPUs.

A long recording is cut in silence into parts of a few minutes, which are sent in parallel; their
words come back in order. Modal is not contacted before the first recording.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import modal

from gpu import codec, config, pcm, tracing
from gpu.kyutai.languages import chosen_language
from gpu.modal.calls import RemoteCall, cancel, guarded, take_usage
from gpu.modal.connectivity import CircuitBreaker
from gpu.modal.live import LiveSession
from gpu.modal.messages import event_from_message
from gpu.types import (
    Audio,
    Complete,
    EngineError,
    EngineEvent,
    LiveAudio,
    LiveEvent,
    Metadata,
    Segment,
    Span,
    UsageDelta,
)
from gpu.windows import pack
from gpu.words import in_order

MAX_PART_S, MAX_PARTS_IN_FLIGHT = 240.0, 4


class ModalEngine:
    """One for all threads of the process."""

    name = "modal"

    def __init__(self) -> None:
        self._circuit = CircuitBreaker()

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """See `gpu.types.Engine`."""
        # The container gets no candidates, only one language.
        audio = replace(audio, language=chosen_language(config.STT_MODEL_ID, audio))
        yield from guarded(self._circuit, _merge_parts(self._events_of_parts(audio, stopped)))

    def live(self, audio: LiveAudio, stopped: Callable[[], bool]) -> Iterator[LiveEvent]:
        """See `gpu.types.Engine`. A lost connection ends the session: it raises Unreachable."""
        chosen_language(config.STT_MODEL_ID, audio)
        with closing(LiveSession(audio).events(stopped)) as events:
            yield from guarded(self._circuit, events)

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
                        yield from take_usage(running)
                        yield event
                except EngineError:
                    yield from take_usage(running)
                    raise
                running.popleft()
        finally:
            cancel(running)


def _only(audio: Audio, window: Span) -> Audio:
    """The same recording with the speech of one window only."""
    inside = (s for s in audio.spans if s.end > window.start and s.start < window.end)
    spans = (Span(max(s.start, window.start), min(s.end, window.end)) for s in inside)
    return replace(audio, spans=tuple(spans))


def _merge_parts(events: Iterator[EngineEvent]) -> Iterator[EngineEvent]:
    """One Metadata and one Complete for all parts.

    Words are in order where parts meet. The start of a container counts only once, although all
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


class Part(RemoteCall[EngineEvent]):
    """A few minutes of a recording."""

    def __init__(self, audio: Audio) -> None:
        super().__init__()
        self.remaining = audio  # without the speech whose segments have been received
        self._speech_seconds = sum(span.end - span.start for span in audio.spans)

    def attempt(self) -> Iterator[EngineEvent]:
        """See `RemoteCall`."""
        if not self.remaining.spans:  # the call was interrupted after the last segment
            yield self._with_all_calls(Complete(0.0, 0.0))
            return
        start, end = self._edges()
        for message in self.messages():
            event = event_from_message(message, start, end)
            yield self._with_all_calls(event) if isinstance(event, Complete) else event
            if isinstance(event, Segment):
                self.remaining = self.remaining.after(event.end)

    def lines(self, call_id: str) -> Iterator[str]:
        """See `RemoteCall`."""
        start, end = self._edges()
        try:
            data = codec.encode(pcm.read_samples(self.remaining.path, start, end))
        except OSError as error:  # not an error of the connection
            raise EngineError(f"the audio cannot be read: {error!r}") from error
        spans = [(span.start - start, span.end - start) for span in self.remaining.spans]
        model = modal.Cls.from_name(config.MODAL_APP, config.MODAL_CLASS)()
        with tracing.span("modal.transcribe_stream", call_id=call_id):
            # Left out without tracing: older deployments of the app do not know it.
            trace = {"traceparent": tracing.traceparent()} if tracing.is_enabled() else {}
            yield from model.transcribe_stream.remote_gen(
                data, spans, self.remaining.language, time.time(), call_id, **trace
            )

    def _edges(self) -> tuple[float, float]:
        """Start and end of the remaining speech, in seconds."""
        return self.remaining.spans[0].start, self.remaining.spans[-1].end

    def _with_all_calls(self, complete: Complete) -> Complete:
        """The usage of the last call plus that of interrupted calls."""
        interrupted = self._interrupted_usage
        return Complete(
            audio_seconds=self._speech_seconds,
            decode_seconds=complete.decode_seconds + interrupted.decode_seconds,
            queue_seconds=complete.queue_seconds + interrupted.queue_seconds,
            load_seconds=complete.load_seconds + interrupted.load_seconds,
            gpu=complete.gpu or interrupted.gpu,
        )
