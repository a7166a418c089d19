"""The sample recording, and the embedded engine's result for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpu import pcm
from gpu.tests.conftest import Samples
from gpu.types import Audio, Engine, Segment, Span, Word

TEN = Span(0, 10)


def never() -> bool:
    return False


def words_of(engine: Engine, audio: Audio) -> list[Word]:
    events = engine.stream(audio, never)
    return [word for event in events if isinstance(event, Segment) for word in event.words]


def text_of(words: list[Word]) -> str:
    return " ".join(word.text for word in words)


@pytest.fixture(scope="session")
def sample(media: Any) -> Path:
    """The sample recording as `preprocess` would write it."""
    return Path(media.speech("sample-24k.wav", None, "-ar", str(pcm.SAMPLE_RATE_HZ), "-ac", "1"))


@pytest.fixture(scope="session")
def speech(sample: Path) -> Samples:
    """Its first ten seconds."""
    return pcm.read_samples(sample, 0, 10)


@pytest.fixture(scope="session")
def alone(engine: Engine, sample: Path) -> list[Word]:
    """Their words."""
    return words_of(engine, Audio(sample, 10, (TEN,), "en"))
