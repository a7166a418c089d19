"""The lengths to which windows are padded."""

from __future__ import annotations

import numpy as np

from gpu.engine import get_engine
from gpu.whisper.decoded import SAMPLE_RATE_HZ
from gpu.whisper.engine import WhisperEngine


def test_windows_of_similar_length_are_encoded_with_the_same_one() -> None:
    """Each length costs memory that is never freed."""
    engine = get_engine("whisper")
    assert isinstance(engine, WhisperEngine)
    model, *_ = engine._load()
    lengths = set()
    for seconds in (1.51, 1.7, 1.99, 2.0):
        encoded = model.encode([np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)])
        lengths.add(encoded.output.shape[1])
    assert lengths == {350}  # positions, 50 of them each second, with 5 s of padding
