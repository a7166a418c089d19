"""What the engines read from the environment, or from `.env`. Knows nothing of Django."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

ENV_FILE = Path(__file__).resolve().parent.parent / ".env"

if ENV_FILE.is_file():  # for `modal deploy`, which knows nothing of our settings
    with suppress(ImportError):
        import environ

        environ.Env.read_env(ENV_FILE)

STT_MODEL_ID = os.environ.get("STT_MODEL_ID", "kyutai/stt-2.6b-en-trfs")
STT_DEVICE = os.environ.get("STT_DEVICE", "")  # empty: the GPU if there is one
STT_ROWS = int(os.environ.get("STT_ROWS", "0"))  # streams decoded side by side; 0: what fits
# Whether words are shown before their segment is whole.
STT_PARTIALS = os.environ.get("STT_PARTIALS", "").lower() in ("1", "true", "yes", "on")
WHISPER_MODEL = os.environ.get("WHISPER_MODEL", "base")
WHISPER_BATCH_SIZE = int(os.environ.get("WHISPER_BATCH_SIZE", "8"))
WHISPER_THREADS = int(os.environ.get("WHISPER_THREADS", "0"))  # 0: as many as there are cores

# Modal. Those that describe the app take effect when it is deployed.
MODAL_APP = os.environ.get("MODAL_APP", "transcodio-app")
MODAL_CLASS = "KyutaiSTTModel"
MODAL_TICKETS = "transcodio-cancelled"  # the dictionary in which cancelled calls are noted
MODAL_GPU_TYPE = os.environ.get("MODAL_GPU_TYPE", "L4")
MODAL_CONTAINER_IDLE_TIMEOUT = int(os.environ.get("MODAL_CONTAINER_IDLE_TIMEOUT", "120"))  # s
MODAL_MIN_CONTAINERS = int(os.environ.get("MODAL_MIN_CONTAINERS", "0"))  # 1 keeps one warm
MODAL_MAX_CONTAINERS = int(os.environ.get("MODAL_MAX_CONTAINERS", "4"))
MODAL_MAX_INPUTS = int(os.environ.get("MODAL_MAX_INPUTS", "32"))  # parts of recordings on one GPU
MODAL_TIMEOUT = int(os.environ.get("MODAL_TIMEOUT", "1800"))  # seconds that a part may take
# What a GPU second costs with all that belongs to it, in USD; 0: by the list in pricing.py.
MODAL_USD_PER_GPU_SECOND = float(os.environ.get("MODAL_USD_PER_GPU_SECOND", "0"))
MODAL_CORES, MODAL_MEMORY_GIB = 2.0, 12  # of a container; weights pass through its memory
# Seconds without a word from the GPU after which a call is given up; a cold start is longer.
MODAL_COLD_START, MODAL_SILENCE = 600.0, 120.0
MODELS = "/models"  # the volume in the container


def models_dir() -> Path:
    """Where weights are put together once: `models/` in the data folder."""
    root = os.environ.get("VAR_DIR") or Path(__file__).resolve().parent.parent / "var"
    return Path(root) / "models"
