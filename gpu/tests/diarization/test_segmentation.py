"""The network computes what the modules of torch compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from gpu import pcm
from gpu.diarization import weights
from gpu.diarization.segmentation import (
    BATCH,
    CHUNK_SAMPLES,
    FRAMES,
    RATE_HZ,
    SPEAKERS,
    Segmentation,
    filters,
)
from gpu.tests.diarization.conftest import Sentences


@pytest.fixture(scope="module")
def segmentation() -> Segmentation:
    return Segmentation()


def by_torch(chunks: Any) -> Any:
    """The same network of torch's own layers; the filters are tested below."""
    arrays = weights.read(weights.SEGMENTATION)
    bank = torch.from_numpy(filters(arrays))[:, None]
    found = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    lstm = nn.LSTM(60, 128, num_layers=4, bidirectional=True, batch_first=True)
    lstm.load_state_dict({name[5:]: a for name, a in found.items() if name.startswith("lstm.")})

    def normalized(x: Any, name: str) -> Any:
        scale, bias = (found[f"sincnet.{name}.{kind}"] for kind in ("weight", "bias"))
        return functional.instance_norm(x, weight=scale, bias=bias)

    def heard(x: Any, index: int) -> Any:
        if not index:
            return functional.conv1d(x, bank, stride=10).abs()
        kernel, bias = (found[f"sincnet.conv1d.{index}.{kind}"] for kind in ("weight", "bias"))
        return functional.conv1d(x, kernel, bias)

    with torch.no_grad():
        x = normalized(torch.from_numpy(chunks)[:, None], "wav_norm1d")
        for index in range(3):
            x = normalized(functional.max_pool1d(heard(x, index), 3), f"norm1d.{index}")
            x = functional.leaky_relu(x)
        x, _ = lstm(x.transpose(1, 2))
        for index in range(2):
            x = functional.linear(x, *(found[f"linear.{index}.{k}"] for k in ("weight", "bias")))
            x = functional.leaky_relu(x)
        x = functional.linear(x, *(found[f"classifier.{k}"] for k in ("weight", "bias")))
        return torch.sigmoid(x).numpy()


def test_activities_are_those_of_torch(segmentation: Segmentation, sentences: Sentences) -> None:
    speech = np.concatenate(sentences(1.0))[: 20 * pcm.SAMPLE_RATE_HZ]
    resampled = pcm.Resampler(RATE_HZ).push(speech)
    chunks = resampled[: len(resampled) // CHUNK_SAMPLES * CHUNK_SAMPLES].reshape(-1, CHUNK_SAMPLES)
    noise = np.random.default_rng(1).normal(0, 0.1, (1, CHUNK_SAMPLES)).astype(np.float32)
    chunks = np.concatenate([chunks, noise, noise / 1000])
    found = segmentation.activities(chunks)
    assert found.shape == (len(chunks), FRAMES, SPEAKERS)
    np.testing.assert_allclose(found, by_torch(chunks), atol=0.005)
    assert found[0].max(axis=1).mean() > 0.9  # somebody speaks,
    assert found[-1].max() < 0.1  # and nobody in an empty room


def test_nobody_speaks_in_digital_silence(segmentation: Segmentation) -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, (2, CHUNK_SAMPLES)).astype(np.float32)
    found = segmentation.activities(np.concatenate([noise, np.zeros_like(noise)]))
    assert found.dtype == np.float32
    assert found[:2].max() > 0
    assert not found[2:].any()


def test_filters_pass_a_band_each() -> None:
    found = weights.read(weights.SEGMENTATION)
    bank = filters(found)
    assert bank.shape == (80, 251)
    cosines, sines = bank[:40], bank[40:]
    np.testing.assert_allclose(cosines, cosines[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(sines, -sines[:, ::-1], atol=1e-6)
    gains = np.abs(np.fft.rfft(bank, RATE_HZ))  # by Hz
    low = 50 + np.abs(found["sincnet.conv1d.0.filterbank.low_hz_"][:, 0])
    high = np.minimum(low + 50 + np.abs(found["sincnet.conv1d.0.filterbank.band_hz_"][:, 0]), 8000)
    for number, (first, last) in enumerate(zip(low, high, strict=True)):
        for gain in (gains[number], gains[40 + number]):
            assert first - 100 <= gain.argmax() <= last + 100


def test_chunks_do_not_depend_on_each_other(segmentation: Segmentation) -> None:
    chunks = np.random.default_rng(2).normal(0, 0.1, (BATCH + 1, CHUNK_SAMPLES)).astype(np.float32)
    together = segmentation.activities(chunks)
    np.testing.assert_allclose(together[-1:], segmentation.activities(chunks[-1:]), atol=1e-4)
    assert segmentation.activities(chunks[:0]).shape == (0, FRAMES, SPEAKERS)
