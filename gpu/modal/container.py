"""What the classes of the Modal app have in common."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import modal
import modal.experimental

from gpu import config
from gpu.modal import cancellation

# Installed if the containers are to export traces.
TELEMETRY_PACKAGES = (
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
)
# Environment variables of the deployment that containers get too.
ENVIRONMENT = (
    *("STT_MODEL_ID", "STT_ROWS", "STT_PARTIALS", "MODAL_GPU_TYPE"),
    *("DIARIZER", "PYANNOTE_MODEL"),
)

# A secret, because OTEL_EXPORTER_OTLP_HEADERS may contain a token.
telemetry: dict[str, str | None] = {
    name: value for name, value in os.environ.items() if name.startswith("OTEL_")
}
is_traced = "OTEL_EXPORTER_OTLP_ENDPOINT" in telemetry
# For models whose conditions must be accepted.
hub_secrets = [modal.Secret.from_dict({"HF_TOKEN": config.HF_TOKEN})] if config.HF_TOKEN else []

volume = modal.Volume.from_name("transcodio-models", create_if_missing=True)


def image(packages: tuple[str, ...]) -> modal.Image:
    """The image with these packages and our own code."""
    return (
        modal.Image.debian_slim(python_version="3.12")
        .uv_pip_install(*packages, *(TELEMETRY_PACKAGES if is_traced else ()), uv_version="0.9.5")
        .env(
            {
                "HF_HOME": config.MODELS_MOUNT,
                "HF_XET_HIGH_PERFORMANCE": "1",
                # That of this machine says nothing about theirs. A container that does not find its
                # GPU must fail, instead of using the CPU at its price.
                "STT_DEVICE": config.MODAL_STT_DEVICE,
            }
            | {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        )
        .add_local_python_source("gpu", ignore=["**/tests/**"])
    )


def container_options(packages: tuple[str, ...]) -> dict[str, Any]:
    """The options of a class, for `app.cls`."""
    return {
        "image": image(packages),
        "gpu": config.MODAL_GPU_TYPE,
        "cpu": config.MODAL_CORES,
        "memory": config.MODAL_MEMORY_GIB * 1024,  # MiB
        "volumes": {config.MODELS_MOUNT: volume},
        "scaledown_window": config.MODAL_CONTAINER_IDLE_TIMEOUT,
        "max_containers": config.MODAL_MAX_CONTAINERS,
        "timeout": config.MODAL_TIMEOUT,
        "startup_timeout": int(config.MODAL_STARTUP_TIMEOUT_S),
        "enable_memory_snapshot": True,
    }


@contextmanager
def print_engine_error() -> Iterator[None]:
    """Lets a container start even if its model cannot be loaded.

    Otherwise callers would get no answer until they time out. Instead, every call tries to load it
    again and reports the error.
    """
    from gpu.types import EngineError

    try:
        yield
    except EngineError as error:
        print(f"The model cannot be loaded: {error}", flush=True)


async def messages_of_call(
    create: Callable[[Callable[[], bool]], Iterator[dict[str, Any]]],
    call_id: str | None,
    load_seconds: float,
) -> AsyncGenerator[dict[str, Any], None]:
    """The messages that `create(stopped)` yields, with the type of the GPU and the time for which
    the call waited for this container to start. Once `call_id` is cancelled, `stopped` returns
    true."""
    from gpu.serving import iterate_in_thread

    unreported = load_seconds
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
