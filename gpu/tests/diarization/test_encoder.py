"""The voice encoder computes what the modules of torch compute."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from gpu.diarization import weights
from gpu.diarization.encoder import BANDS, BATCH, POWER, VECTOR_SIZE, WINDOW_FRAMES, VoiceEncoder


def test_vectors_are_those_of_torch() -> None:
    random = np.random.default_rng(1)
    windows = random.exponential(1.0, (BATCH + 3, WINDOW_FRAMES, BANDS)).astype(np.float32)
    found = {n: torch.from_numpy(a.copy()) for n, a in weights.read(weights.VOICE_ENCODER).items()}
    lstm = nn.LSTM(BANDS, VECTOR_SIZE, num_layers=3, batch_first=True)
    lstm.load_state_dict({name[5:]: a for name, a in found.items() if name.startswith("lstm.")})
    power = windows.sum(axis=2).mean(axis=1)
    with torch.no_grad():
        states, _ = lstm(torch.from_numpy(windows * (POWER / power)[:, None, None]))
        projected = states[:, -1] @ found["linear.weight"].T + found["linear.bias"]
        expected = nn.functional.normalize(projected.relu(), dim=1).numpy()
    vectors = VoiceEncoder().vectors(windows)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-4)
    assert vectors.max(axis=1).min() > 0.1  # something was heard in each


def test_vectors_of_silence_are_finite() -> None:
    encoder, silence = VoiceEncoder(), np.zeros((2, WINDOW_FRAMES, BANDS), np.float32)
    vectors = encoder.vectors(silence)
    assert vectors.shape == (2, VECTOR_SIZE)
    assert np.isfinite(vectors).all()
    assert encoder.vectors(silence[:0]).shape == (0, VECTOR_SIZE)
