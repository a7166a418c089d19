"""The Modal app: KyutaiSTTModel on a GPU, with many recordings in parallel in one container.

modal run gpu/app.py::download          downloads the weights into the volume, once
modal deploy gpu/app.py
modal run gpu/app.py --path talk.mp3    transcribes one recording and prints its segments
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import modal
import modal.experimental

from gpu import cancellation, config, tracing

# transformers uses torchaudio if it is installed; each release of it needs one release of torch.
PACKAGES = (
    "torch==2.11.0",
    "torchaudio==2.11.0",
    "transformers==5.23.0",
    "numpy==2.4.6",
    "av==18.1.0",
    "huggingface-hub==2.4.0",
)
# Installed if the containers are to export traces.
TELEMETRY_PACKAGES = (
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
)
# Environment variables at deployment that containers get as well.
ENVIRONMENT = ("STT_MODEL_ID", "STT_DEVICE", "STT_ROWS", "STT_PARTIALS", "MODAL_GPU_TYPE")

# A secret, because OTEL_EXPORTER_OTLP_HEADERS may contain a token.
telemetry: dict[str, str | None] = {
    name: value for name, value in os.environ.items() if name.startswith("OTEL_")
}
is_traced = "OTEL_EXPORTER_OTLP_ENDPOINT" in telemetry

app = modal.App(config.MODAL_APP)
volume = modal.Volume.from_name("transcodio-models", create_if_missing=True)
image = (
    modal.Image.debian_slim(python_version="3.12")
    .uv_pip_install(*PACKAGES, *(TELEMETRY_PACKAGES if is_traced else ()), uv_version="0.9.5")
    .env(
        # A container that does not find its GPU must fail, instead of using the CPU at its price.
        {"HF_HOME": config.MODELS_MOUNT, "HF_XET_HIGH_PERFORMANCE": "1", "STT_DEVICE": "cuda"}
        | {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    )
    .add_local_python_source("gpu", ignore=["**/tests/**"])
)


@contextmanager
def print_engine_error() -> Iterator[None]:
    """Lets a container start although its model cannot be loaded.

    Otherwise callers would get no answer until they time out. Instead, every call tries to load it
    again and reports the error.
    """
    from gpu.types import EngineError

    try:
        yield
    except EngineError as error:
        print(f"The model cannot be loaded: {error}", flush=True)


@app.cls(
    image=image,
    gpu=config.MODAL_GPU_TYPE,
    cpu=config.MODAL_CORES,
    memory=config.MODAL_MEMORY_GIB * 1024,  # MiB
    volumes={config.MODELS_MOUNT: volume},
    secrets=[modal.Secret.from_dict(telemetry)] if is_traced else [],
    scaledown_window=config.MODAL_CONTAINER_IDLE_TIMEOUT,
    min_containers=config.MODAL_MIN_CONTAINERS,
    max_containers=config.MODAL_MAX_CONTAINERS,
    timeout=config.MODAL_TIMEOUT,
    startup_timeout=int(config.MODAL_STARTUP_TIMEOUT_S),
    enable_memory_snapshot=True,
)
@modal.concurrent(max_inputs=config.MODAL_MAX_INPUTS)
class KyutaiSTTModel:
    """Kyutai STT: streams segments with the times of their words."""

    @modal.enter(snap=True)
    def load(self) -> None:
        """Loads the weights into main memory, without a GPU.

        Later containers start from a snapshot of this state.
        """
        from gpu.kyutai_engine import KyutaiEngine

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
        stretches of speech in it, in seconds; `sent_at` is explained below. Raises EngineError.
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
        """The same as JSON strings, as soon as they are known.

        Their `type` is `metadata` (the first), then `segment`, with `usage` (since the last one)
        before it, and at the end `complete` (with the whole usage) or `error`. With `sent_at`
        (seconds since 1970) the usage includes how long the call waited for this container to
        start. Once `call_id` is cancelled (see gpu/cancellation.py), the call ends with the error
        `cancelled`. With `traceparent` (W3C Trace Context) its span joins that trace. All messages
        have the same `attempt_id`, unless Modal has restarted the call in another container.
        """
        attempt_id = cancellation.new_call_id()
        call = (audio, spans, language, sent_at, call_id, traceparent)
        async for message in self._messages(*call):
            yield json.dumps(message | {"attempt_id": attempt_id})

    async def _messages(
        self,
        audio: bytes,
        spans: list[tuple[float, float]] | None,
        language: str | None,
        sent_at: float | None,
        call_id: str | None = None,
        traceparent: str = "",
    ) -> AsyncIterator[dict[str, Any]]:
        from gpu.serving import iterate_in_thread, transcribe

        load_seconds = unreported = self.cold_start.seconds_for(sent_at)
        create = partial(transcribe, self.engine, audio, spans, language, traceparent=traceparent)
        is_cancelled = partial(cancellation.is_cancelled, call_id) if call_id else None
        async for message in iterate_in_thread(create, is_cancelled):
            if message["type"] == "complete":
                message["load_seconds"] = load_seconds
            elif message["type"] == "usage":
                message["load_seconds"], unreported = unreported, 0.0
            if "gpu" in message:
                message["gpu"] = config.MODAL_GPU_TYPE
            if message.get("code") == "device_lost":
                with suppress(Exception):  # the next attempt must get another container
                    await modal.experimental.stop_fetching_inputs.aio()
            yield message


@app.function(image=image, volumes={config.MODELS_MOUNT: volume}, timeout=3600)
def download() -> None:
    """Downloads the weights into the volume, before the first recording needs them."""
    from huggingface_hub import snapshot_download

    snapshot_download(config.STT_MODEL_ID)
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
