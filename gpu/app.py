"""The Modal app: KyutaiSTTModel on a GPU, many recordings side by side in one container.

modal run gpu/app.py::download          fills the volume with the weights, once
modal deploy gpu/app.py
modal run gpu/app.py --path talk.mp3    one recording, its segments printed as they come
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

from gpu import cancellation, config

# torchaudio is what transformers reads audio with when it is there; it fits one release of torch.
PACKAGES = (
    "torch==2.11.0",
    "torchaudio==2.11.0",
    "transformers==5.23.0",
    "numpy==2.4.6",
    "av==18.1.0",
    "huggingface-hub==2.4.0",
)
SETTINGS = ("STT_MODEL_ID", "STT_DEVICE", "STT_ROWS", "STT_PARTIALS", "MODAL_GPU_TYPE")

app = modal.App(config.MODAL_APP)
volume = modal.Volume.from_name("transcodio-models", create_if_missing=True)
image = (
    modal.Image.debian_slim(python_version="3.12")
    .uv_pip_install(*PACKAGES, uv_version="0.9.5")
    .env(
        # A machine that does not find its GPU says so: it must not go on without, at its price.
        {"HF_HOME": config.MODELS, "HF_XET_HIGH_PERFORMANCE": "1", "STT_DEVICE": "cuda"}
        | {name: os.environ[name] for name in SETTINGS if name in os.environ}
    )
    .add_local_python_source("gpu", ignore=["**/tests/**"])
)


@contextmanager
def told() -> Iterator[None]:
    """Whoever calls a machine that cannot start would hear nothing until they give up. So it starts
    without its model, tries again at every call, and the calls tell what is wrong."""
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
    volumes={config.MODELS: volume},
    scaledown_window=config.MODAL_CONTAINER_IDLE_TIMEOUT,
    min_containers=config.MODAL_MIN_CONTAINERS,
    max_containers=config.MODAL_MAX_CONTAINERS,
    timeout=config.MODAL_TIMEOUT,
    startup_timeout=int(config.MODAL_COLD_START),
    enable_memory_snapshot=True,
)
@modal.concurrent(max_inputs=config.MODAL_MAX_INPUTS)
class KyutaiSTTModel:
    """Kyutai STT, streaming words with their times."""

    @modal.enter(snap=True)
    def load(self) -> None:
        """Weights into main memory: this much is in the snapshot that later containers start from.

        No GPU is there yet.
        """
        from gpu.kyutai_engine import KyutaiEngine

        self.engine = KyutaiEngine()
        with told():
            self.engine.load(half_precision=config.STT_DEVICE != "cpu")

    @modal.enter(snap=False)
    def start(self) -> None:
        """Weights onto the GPU, and its graphs captured: neither survives a snapshot."""
        from gpu.serving import ColdStart

        self.cold_start = ColdStart()
        with told():
            self.engine.batcher()
        self.cold_start.is_over()

    @modal.exit()
    def stop(self) -> None:
        """Lets the recordings that are under way end."""
        self.engine.close()

    @modal.method()
    async def transcribe(
        self,
        audio: bytes,
        spans: list[tuple[float, float]] | None = None,
        language: str | None = None,
        sent_at: float | None = None,
    ) -> dict[str, Any]:
        """A whole recording: `{text, language, model, segments, audio_seconds, gpu_seconds, ...}`.

        `audio` is any file that FFmpeg reads, best a FLAC, mono at 24 kHz; `spans` are the seconds
        with speech in it, `sent_at` as below. Raises EngineError.
        """
        from gpu.serving import whole

        return whole(iter([e async for e in self._events(audio, spans, language, sent_at)]))

    @modal.method()
    async def transcribe_stream(
        self,
        audio: bytes,
        spans: list[tuple[float, float]] | None = None,
        language: str | None = None,
        sent_at: float | None = None,
        ticket: str | None = None,
    ) -> AsyncIterator[str]:
        """The same as JSON strings, as they become known.

        Their `type` is `metadata` (at once), `segment` with `spent` (what was used since the last
        one) before it, and at the end `complete` (with the whole meter) or `error`. With `sent_at`
        (seconds since 1970) the meter tells how long the call waited for this container to start.
        Once its `ticket` is handed in (see gpu/tickets.py) it ends with the error `cancelled`. All
        of them name the same `run`, unless Modal has begun the call anew on another machine.
        """
        run = cancellation.new()
        async for event in self._events(audio, spans, language, sent_at, ticket):
            yield json.dumps(event | {"run": run})

    async def _events(
        self,
        audio: bytes,
        spans: list[tuple[float, float]] | None,
        language: str | None,
        sent_at: float | None,
        ticket: str | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        from gpu.serving import messages, relay

        load_seconds = untold = self.cold_start.seconds_for(sent_at)
        make = partial(messages, self.engine, audio, spans, language)
        is_unwanted = partial(cancellation.is_handed_in, ticket) if ticket else None
        async for event in relay(make, is_unwanted):
            if event["type"] == "complete":
                event["load_seconds"] = load_seconds
            elif event["type"] == "spent":
                event["load_seconds"], untold = untold, 0.0
            if "gpu" in event:
                event["gpu"] = config.MODAL_GPU_TYPE
            if event.get("code") == "device_lost":
                with suppress(Exception):  # so that whoever tries again gets another machine
                    await modal.experimental.stop_fetching_inputs.aio()
            yield event


@app.function(image=image, volumes={config.MODELS: volume}, timeout=3600)
def download() -> None:
    """Puts the weights into the volume ahead of the first recording."""
    from huggingface_hub import snapshot_download

    snapshot_download(config.STT_MODEL_ID)
    volume.commit()


@app.local_entrypoint()
def main(path: str) -> None:
    """Transcribes one recording; it is converted here, so that the GPU gets nothing else to do."""
    from gpu import codec
    from gpu.types import BadAudio

    began = time.monotonic()
    try:
        audio = codec.encode(codec.decode(Path(path)))
    except BadAudio as error:
        raise SystemExit(f"{path}: {error}") from None
    events = KyutaiSTTModel().transcribe_stream.remote_gen(audio, sent_at=time.time())
    for event in map(json.loads, events):
        if event["type"] == "segment":
            print(f"{event['start']:8.2f} {event['end']:8.2f}  {event['text']}", flush=True)
        elif event["type"] == "error":
            raise SystemExit(f"{event['detail']} ({event['reason']})")
        elif event["type"] == "complete":
            spent = time.monotonic() - began
            print(f"{event['audio_seconds']:.1f} s of audio in {spent:.1f} s", flush=True)
