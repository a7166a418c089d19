"""The class of the Modal app for DIARIZER=modal. gpu/app.py includes it.

It has a separate container: Kyutai's uses all memory of its GPU for its batch, and gets recordings
in parts, each of which may be in a different container.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial

import modal

from gpu import tracing
from gpu.modal import cancellation
from gpu.modal.container import (
    container_options,
    hub_secrets,
    is_traced,
    messages_of_call,
    print_engine_error,
    telemetry,
)

PACKAGES = (
    "pyannote-audio==4.0.7",
    # Each release of these needs a specific release of torch.
    "torch==2.11.0",
    "torchaudio==2.11.0",
    "torchcodec==0.11.1",
    "numpy==2.4.6",
    "av==18.1.0",
    "huggingface-hub==2.4.0",
)
MAX_INPUTS = 4  # recordings that wait for one GPU, which processes one at a time

app = modal.App()
secrets = [*hub_secrets, *([modal.Secret.from_dict(telemetry)] if is_traced else [])]


@app.cls(**container_options(PACKAGES), secrets=secrets)
@modal.concurrent(max_inputs=MAX_INPUTS)
class PyannoteModel:
    """A pipeline of pyannote.audio: tells the speakers of a recording apart."""

    @modal.enter(snap=True)
    def load(self) -> None:
        """Loads the models into main memory, for a snapshot without a GPU."""
        from gpu.diarization.pyannote import PyannoteDiarizer

        self.diarizer = PyannoteDiarizer()
        with print_engine_error():
            self.diarizer.load()

    @modal.enter(snap=False)
    def start(self) -> None:
        """Moves the models to the GPU."""
        from gpu.serving import ColdStart

        self.trace_provider = tracing.start_export() if is_traced else None
        self.cold_start = ColdStart()
        with print_engine_error():
            self.diarizer.pipeline()
        self.cold_start.finish()

    @modal.exit()
    def stop(self) -> None:
        """Sends the last spans."""
        if self.trace_provider:
            self.trace_provider.shutdown()

    @modal.method()
    async def diarize_stream(
        self,
        audio: bytes,
        min_speakers: int = 1,
        max_speakers: int = 20,
        sent_at: float | None = None,
        call_id: str | None = None,
        traceparent: str = "",
    ) -> AsyncIterator[str]:
        """JSON strings: see `gpu.diarization.serving.diarize`.

        `audio`, `sent_at`, `call_id`, `traceparent` and `attempt_id` are those of
        `KyutaiSTTModel.transcribe_stream`.
        """
        from gpu.diarization.clustering import SpeakerLimits
        from gpu.diarization.serving import diarize

        attempt_id = cancellation.new_call_id()
        limits = SpeakerLimits(min_speakers, max_speakers)
        create = partial(diarize, self.diarizer, audio, limits, traceparent=traceparent)
        waited = self.cold_start.seconds_for(sent_at)
        async for message in messages_of_call(create, call_id, waited):
            yield json.dumps(message | {"attempt_id": attempt_id})
