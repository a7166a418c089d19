"""The windows that the model encodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu import pcm
from gpu.engine import get_engine
from gpu.types import Audio, RecognitionOptions, Span
from gpu.whisper.decoded import SAMPLE_RATE_HZ
from gpu.whisper.engine import WhisperEngine
from gpu.whisper.model import Model


@pytest.fixture(scope="module")
def model() -> Model:
    engine = get_engine("whisper")
    assert isinstance(engine, WhisperEngine)
    return engine._load()[0]


def test_windows_of_similar_length_are_encoded_with_the_same_one(model: Model) -> None:
    """Each length costs memory that is never freed."""
    lengths = set()
    for seconds in (1.51, 1.7, 1.99, 2.0):
        encoded = model.encode([np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)])
        lengths.add(encoded.output.shape[1])
    assert lengths == {350}  # positions, 50 of them each second, with 5 s of padding


@pytest.mark.parametrize("window_s", [7, 28])
def test_language_of_two_seconds_is_found(model: Model, media: Any, window_s: int) -> None:
    path = Path(media.speech("english.wav", None, "-ar", str(pcm.SAMPLE_RATE_HZ), "-ac", "1"))
    encoded = model.encode([pcm.read_resampled(path, 0, window_s, SAMPLE_RATE_HZ)])
    for start in range(1, window_s - 2, 2):
        probabilities = model.language_probabilities(encoded, 0, start, start + 2)
        assert probabilities["en"] > 0.6, start


class RecordingDecoder:
    """The decoder of CTranslate2, which keeps the prompts that it was given."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self.prompts: list[list[int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> Any:
        self.prompts += prompts
        return self._decoder.generate(features, prompts, **options)


@pytest.mark.parametrize("translate", [True, False])
def test_decoder_is_asked_to_translate(
    model: Model, sample: Path, monkeypatch: pytest.MonkeyPatch, translate: bool
) -> None:
    decoder = RecordingDecoder(model.whisper.model)
    monkeypatch.setattr(model.whisper, "model", decoder)
    options = RecognitionOptions("A walk.", ("harbor",), translate)
    audio = Audio(sample, 3, (Span(0, 3),), "de", options)
    assert list(get_engine("whisper").stream(audio, lambda: False))
    tokens = [
        [model.whisper.hf_tokenizer.id_to_token(token) for token in prompt]
        for prompt in decoder.prompts
    ]
    assert tokens
    task = "<|translate|>" if translate else "<|transcribe|>"
    assert all(prompt[-3:] == ["<|de|>", task, "<|notimestamps|>"] for prompt in tokens)
