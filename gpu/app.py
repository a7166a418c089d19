"""The Modal app: KyutaiSTTModel on a GPU, with many recordings in parallel in one container.

modal run gpu/app.py::download          downloads the weights into the volume, once
modal deploy gpu/app.py
modal run gpu/app.py --path talk.mp3    transcribes one recording and prints its segments
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import modal

from gpu import config, tracing
from gpu.modal import cancellation
from gpu.modal.container import (
    container_options,
    hub_secrets,
    image,
    is_traced,
    messages_of_call,
    print_engine_error,
    telemetry,
    volume,
)
from gpu.types import LiveAudio, RecognitionOptions

# transformers uses torchaudio if it is installed, and each release of torchaudio needs a specific
# release of torch.
PACKAGES = (
    "torch==2.11.0",
    "torchaudio==2.11.0",
    "transformers==5.23.0",
    "numpy==2.4.6",
    "av==18.1.0",
    "huggingface-hub==2.4.0",
)

SIGN_INTERVAL_S = 3.0  # shorter than the silence after which callers probe Modal

app = modal.App(config.MODAL_APP)
if config.DIARIZER == "modal":
    from gpu.diarization import modal_app

    app.include(modal_app.app)


@app.cls(
    **container_options(PACKAGES),
    secrets=[modal.Secret.from_dict(telemetry)] if is_traced else [],
    min_containers=config.MODAL_MIN_CONTAINERS,
)
@modal.concurrent(max_inputs=config.MODAL_MAX_INPUTS)
class KyutaiSTTModel:
    """Kyutai STT: streams segments with the times of their words."""

    @modal.enter(snap=True)
    def load(self) -> None:
        """Loads the weights into main memory, without a GPU.

        Later containers start from a snapshot of this state.
        """
        from gpu.kyutai.engine import KyutaiEngine

        self.engine = KyutaiEngine()
        with print_engine_error():
            self.engine.load(half_precision=config.STT_DEVICE != "cpu")

    @modal.enter(snap=False)
    def start(self) -> None:
        """Moves the weights to the GPU and captures its graphs, which no snapshot can contain."""
        from gpu.serving import ColdStart

        self.trace_provider = tracing.start_export() if is_traced else None
        self.cold_start = ColdStart()
        with print_engine_error():
            self.engine.batcher()
        self.cold_start.finish()

    @modal.exit()
    def stop(self) -> None:
        """Finishes the recordings in progress."""
        self.engine.close()
        if self.trace_provider:
            self.trace_provider.shutdown()

    @modal.method()
    async def transcribe(
        self,
        audio: bytes,
        spans: list[tuple[float, float]] | None = None,
        language: str | None = None,
        sent_at: float | None = None,
    ) -> dict[str, Any]:
        """A whole recording: `{text, language, model, segments, audio_seconds, gpu_seconds, ...}`.

        `audio` is any file that FFmpeg can read, preferably FLAC, mono at 24 kHz; `spans` are the
        stretches of speech in it, in seconds. For `sent_at` see `transcribe_stream`. Raises
        EngineError.
        """
        from gpu.serving import transcript_of

        messages = [message async for message in self._messages(audio, spans, language, sent_at)]
        return transcript_of(iter(messages))

    @modal.method()
    async def transcribe_stream(
        self,
        audio: bytes,
        spans: list[tuple[float, float]] | None = None,
        language: str | None = None,
        sent_at: float | None = None,
        call_id: str | None = None,
        traceparent: str = "",
    ) -> AsyncIterator[str]:
        """The same as JSON strings, each as soon as it is known.

        Their `type` is `metadata` (the first), then `segment`, with `usage` (since the last one)
        before it, and at the end `complete` (with the whole usage) or `error`. With `sent_at`
        (seconds since 1970) the usage includes how long the call waited for this container to
        start. Once `call_id` is cancelled (see gpu/modal/cancellation.py), the call ends with the
        error `cancelled`. With `traceparent` (W3C Trace Context) its span joins that trace. All
        messages have the same `attempt_id`, unless Modal restarted the call in another container.
        """
        attempt_id = cancellation.new_call_id()
        call = (audio, spans, language, sent_at, call_id, traceparent)
        async for message in self._messages(*call):
            yield json.dumps(message | {"attempt_id": attempt_id})

    @modal.method()
    async def live(
        self,
        call_id: str,
        start: float = 0.0,
        language: str | None = None,
        turn_silence_s: float | None = 0.6,
        sent_at: float | None = None,
        traceparent: str = "",
        languages: Sequence[str] = (),
    ) -> AsyncIterator[str]:
        """A live session: JSON strings like those of `transcribe_stream`, while the speech goes on.

        The audio arrives through a queue, see gpu/modal/audio.py; its first sample is at `start`
        seconds. If there are `languages`, only these may be spoken. Further types are `partial`,
        `turn_started`, `turn_ended` and, if there is nothing else to send for SIGN_INTERVAL_S,
        `alive`.
        """
        from gpu.modal.audio import Inbox
        from gpu.serving import listen, with_signs

        inbox = Inbox(call_id)
        options = RecognitionOptions(languages=tuple(languages))
        audio = LiveAudio(inbox.chunks(), start, language, options, turn_silence_s)
        create = partial(listen, self.engine, audio, traceparent=traceparent)
        messages = messages_of_call(create, call_id, self.cold_start.seconds_for(sent_at))
        attempt_id = cancellation.new_call_id()
        receiving = asyncio.create_task(inbox.receive())
        try:
            async for message in with_signs(messages, SIGN_INTERVAL_S):
                yield json.dumps(message | {"attempt_id": attempt_id})
        finally:
            receiving.cancel()

    async def _messages(
        self,
        audio: bytes,
        spans: list[tuple[float, float]] | None,
        language: str | None,
        sent_at: float | None,
        call_id: str | None = None,
        traceparent: str = "",
    ) -> AsyncIterator[dict[str, Any]]:
        from gpu.serving import transcribe

        create = partial(transcribe, self.engine, audio, spans, language, traceparent=traceparent)
        waited = self.cold_start.seconds_for(sent_at)
        async for message in messages_of_call(create, call_id, waited):
            yield message


@app.function(
    image=image(PACKAGES),
    volumes={config.MODELS_MOUNT: volume},
    secrets=hub_secrets,
    timeout=3600,
)
def download() -> None:
    """Downloads the weights into the volume, before the first recording needs them."""
    from huggingface_hub import snapshot_download

    snapshot_download(config.STT_MODEL_ID)
    if config.DIARIZER == "modal":
        snapshot_download(config.PYANNOTE_MODEL)
    volume.commit()


@app.local_entrypoint()
def main(path: str) -> None:
    """Transcribes one recording. It is converted locally, to save time on the GPU."""
    from gpu import codec
    from gpu.types import BadAudio

    started = time.monotonic()
    try:
        audio = codec.encode(codec.decode(Path(path)))
    except BadAudio as error:
        raise SystemExit(f"{path}: {error}") from None
    lines = KyutaiSTTModel().transcribe_stream.remote_gen(audio, sent_at=time.time())
    for message in map(json.loads, lines):
        if message["type"] == "segment":
            print(f"{message['start']:8.2f} {message['end']:8.2f}  {message['text']}", flush=True)
        elif message["type"] == "error":
            raise SystemExit(f"{message['detail']} ({message['reason']})")
        elif message["type"] == "complete":
            elapsed = time.monotonic() - started
            print(f"{message['audio_seconds']:.1f} s of audio in {elapsed:.1f} s", flush=True)
