"""The settings of the engines, from the environment or from `.env`. Does not use Django."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

ENV_FILE = Path(__file__).resolve().parent.parent / ".env"

if ENV_FILE.is_file():  # for `modal deploy`, which does not load Django's settings
    with suppress(ImportError):
        import environ

        environ.Env.read_env(ENV_FILE)

STT_MODEL_ID = os.environ.get("STT_MODEL_ID", "kyutai/stt-2.6b-en-trfs")
STT_DEVICE = os.environ.get("STT_DEVICE", "")  # empty: the GPU if there is one
# Streams decoded together; 0: as many as fit into memory.
STT_ROWS = int(os.environ.get("STT_ROWS", "0"))
# Whether the words of a segment are sent before it is complete.
STT_PARTIALS = os.environ.get("STT_PARTIALS", "").lower() in ("1", "true", "yes", "on")
WHISPER_MODEL = os.environ.get("WHISPER_MODEL", "base")
WHISPER_BATCH_SIZE = int(os.environ.get("WHISPER_BATCH_SIZE", "4"))
WHISPER_THREADS = int(os.environ.get("WHISPER_THREADS", "0"))  # 0: one per core
DIARIZER = os.environ.get("DIARIZER", "embedded")  # for deployments; Django has a setting
HF_TOKEN = os.environ.get("HF_TOKEN", "")  # of the Hugging Face Hub, whose client reads it too
PYANNOTE_MODEL = os.environ.get("PYANNOTE_MODEL", "pyannote/speaker-diarization-community-1")

# Modal. Settings of the app take effect at its next deployment.
MODAL_APP = os.environ.get("MODAL_APP", "transcodio-app")
MODAL_CLASS, MODAL_DIARIZER_CLASS = "KyutaiSTTModel", "PyannoteModel"
MODAL_CANCELLED_CALLS = "transcodio-cancelled"  # the name of a modal.Dict
MODAL_LIVE_AUDIO = "transcodio-live-audio"  # the name of a modal.Queue
MODAL_STT_DEVICE = os.environ.get("MODAL_STT_DEVICE", "cuda")  # only tests change it
MODAL_GPU_TYPE = os.environ.get("MODAL_GPU_TYPE", "L4")
MODAL_CONTAINER_IDLE_TIMEOUT = int(os.environ.get("MODAL_CONTAINER_IDLE_TIMEOUT", "120"))  # s
MODAL_MIN_CONTAINERS = int(os.environ.get("MODAL_MIN_CONTAINERS", "0"))  # 1 keeps one warm
MODAL_MAX_CONTAINERS = int(os.environ.get("MODAL_MAX_CONTAINERS", "4"))
MODAL_MAX_INPUTS = int(os.environ.get("MODAL_MAX_INPUTS", "32"))  # recordings or parts on one GPU
MODAL_TIMEOUT = int(os.environ.get("MODAL_TIMEOUT", "1800"))  # seconds that each of them may take
# The price of a second of GPU and container, in USD; 0: the price in pricing.py.
MODAL_USD_PER_GPU_SECOND = float(os.environ.get("MODAL_USD_PER_GPU_SECOND", "0"))
MODAL_CORES, MODAL_MEMORY_GIB = 2.0, 12  # of a container; the weights are loaded into its memory
# Seconds without a message after which a call is given up: before the first message, when a
# container may have to start, and after it.
MODAL_STARTUP_TIMEOUT_S, MODAL_SILENCE_TIMEOUT_S = 600.0, 120.0
MODELS_MOUNT = "/models"  # where a container has the volume with the weights


def models_dir() -> Path:
    """Where joined and downloaded weights are stored: `models/` in the data folder."""
    root = os.environ.get("VAR_DIR") or Path(__file__).resolve().parent.parent / "var"
    return Path(root) / "models"
