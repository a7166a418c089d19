"""What the engines read from the environment. Knows nothing of Django."""

from __future__ import annotations

import os
from pathlib import Path

STT_MODEL_ID = os.environ.get("STT_MODEL_ID", "kyutai/stt-2.6b-en-trfs")
STT_DEVICE = os.environ.get("STT_DEVICE", "")  # empty: the GPU if there is one
STT_ROWS = int(os.environ.get("STT_ROWS", "0"))  # streams decoded side by side; 0: what fits
# Whether words are shown before their segment is whole.
STT_PARTIALS = os.environ.get("STT_PARTIALS", "").lower() in ("1", "true", "yes", "on")
WHISPER_MODEL = os.environ.get("WHISPER_MODEL", "base")
WHISPER_BATCH_SIZE = int(os.environ.get("WHISPER_BATCH_SIZE", "8"))
WHISPER_THREADS = int(os.environ.get("WHISPER_THREADS", "0"))  # 0: as many as there are cores


def models_dir() -> Path:
    """Where weights are put together once: `models/` in the data folder."""
    root = os.environ.get("VAR_DIR") or Path(__file__).resolve().parent.parent / "var"
    return Path(root) / "models"
