"""DIARIZER=modal: recordings are sent to PyannoteModel on Modal's GPUs, each as a whole.

Modal is not contacted before the first recording.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import modal

from gpu import codec, config, pcm, tracing
from gpu.diarization.clustering import SpeakerLimits
from gpu.diarization.serving import from_message
from gpu.diarization.types import Diarization
from gpu.modal.calls import RemoteCall, cancel, guarded, take_usage, usage_from_message
from gpu.modal.connectivity import CircuitBreaker
from gpu.types import Audio, EngineError, UsageDelta, error_from_message

SILENCE_TIMEOUT_S = 600.0  # of a call: the last step of long recordings is silent for minutes


class ModalDiarizer:
    """One for all threads of the process."""

    name = "modal"

    def __init__(self) -> None:
        self._circuit = CircuitBreaker()

    def stream(
        self, audio: Audio, limits: SpeakerLimits, stopped: Callable[[], bool]
    ) -> Iterator[Diarization]:
        """See `gpu.diarization.types.Diarizer`."""
        if audio.spans:
            yield from guarded(self._circuit, _results(_Call(audio, limits), audio, stopped))
        else:
            yield Diarization((), audio.duration, is_final=True)


def _results(call: _Call, audio: Audio, stopped: Callable[[], bool]) -> Iterator[Diarization]:
    """The results of the call, each with the usage so far. An error comes after the usage."""
    deadline = time.monotonic() + config.MODAL_STARTUP_TIMEOUT_S + audio.duration
    used, running = UsageDelta(0.0), [call]
    call.start()
    try:
        for found in call.events(stopped, deadline):
            used = sum(take_usage([call]), used)
            until = audio.duration if found.is_final else found.until
            yield replace(found, until=until, usage=used)
        running.clear()
    except EngineError:
        yield Diarization((), 0.0, usage=sum(take_usage([call]), used))
        raise
    finally:
        cancel(running)


class _Call(RemoteCall[Diarization]):
    """The call for a whole recording."""

    def __init__(self, audio: Audio, limits: SpeakerLimits) -> None:
        super().__init__()
        self._audio, self._limits = audio, limits

    def silence_timeout_s(self) -> float:
        """See `RemoteCall`."""
        return SILENCE_TIMEOUT_S

    def attempt(self) -> Iterator[Diarization | UsageDelta]:
        """See `RemoteCall`."""
        for message in self.messages():
            match message["type"]:
                case "usage":
                    yield usage_from_message(message)
                case "diarization":
                    yield from_message(message)
                case _:
                    raise error_from_message(message)

    def lines(self, call_id: str) -> Iterator[str]:
        """See `RemoteCall`."""
        try:
            data = codec.encode_blocks(pcm.read_blocks(self._audio.path, self._audio.duration))
        except OSError as error:  # not an error of the connection
            raise EngineError(f"the audio cannot be read: {error!r}") from error
        limits = (self._limits.minimum, self._limits.maximum)
        model = modal.Cls.from_name(config.MODAL_APP, config.MODAL_DIARIZER_CLASS)()
        with tracing.span("modal.diarize_stream", call_id=call_id):
            yield from model.diarize_stream.remote_gen(
                data, *limits, time.time(), call_id, tracing.traceparent()
            )
