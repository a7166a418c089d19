"""The voice of a person as one vector, and which voices of a recording are known.

A voice is computed from any stretches of one person's speech, whatever has told the speakers apart.
So a stored voice, a reference and a speaker of a recording can be compared.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gpu import pcm
from gpu.diarization.encoder import (
    FRAMES_PER_SECOND,
    RATE_HZ,
    VECTOR_SIZE,
    VoiceEncoder,
)
from gpu.diarization.turns import windows
from gpu.diarization.weights import VOICE_ENCODER
from gpu.types import Span

MODEL = VOICE_ENCODER.package  # vectors of different models cannot be compared
SIZE = VECTOR_SIZE  # of a vector
STEP_S = 0.8  # between windows: half of one
MIN_SPAN_S, MAX_SPAN_S = 0.8, 15.0
ENOUGH_S = 60.0  # of speech: more hardly changes the vector
MIN_SPEECH_S = 2.0
# Measured: see "Known voices" in benchmarks/results/README.md.
MIN_SIMILARITY = 0.84  # cosine, to be the same voice
MIN_MARGIN = 0.04  # to the second most similar known voice

Array = np.ndarray[Any, np.dtype[np.float32]]

_lock = threading.Lock()


def describe(path: Path, spans: Iterable[Span], check: Callable[[], object] = bool) -> Array | None:
    """The voice that speaks in these stretches of a prepared WAV: a vector of length 1 and SIZE
    numbers. None if there is too little speech. `check` is called for each stretch. Raises
    EngineUnavailable, and what `check` raises."""
    loaded, step = encoder(), round(STEP_S * FRAMES_PER_SECOND)
    found, seconds = list[Array](), 0.0
    for span in _longest(spans):
        check()
        end = min(span.end, span.start + MAX_SPAN_S)
        samples = pcm.read_resampled(path, span.start, end, RATE_HZ)
        if samples.size >= MIN_SPAN_S * RATE_HZ:
            found.append(loaded.vectors(windows(loaded.spectra(samples), step)))
            seconds += samples.size / RATE_HZ
        if seconds >= ENOUGH_S:
            break
    return mean(np.concatenate(found)) if seconds >= MIN_SPEECH_S else None


def mean(vectors: Sequence[Array] | Array) -> Array:
    """The direction of several vectors, as one of length 1."""
    total = np.sum(vectors, axis=0, dtype=np.float32)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-9), np.float32)


def matches(voices: Mapping[int, Array], known: Sequence[Array]) -> dict[int, int]:
    """Which known voice each speaker has, as its index in `known`. A known voice has one speaker:
    the most similar one. A speaker whose voice is similar to none or to two of them is left out."""
    if not voices or not known:
        return {}
    numbers = list(voices)
    similarities = np.stack([voices[number] for number in numbers]) @ np.stack(known).T
    result: dict[int, int] = {}
    for row in np.argsort(-similarities.max(axis=1), kind="stable"):
        place = int(similarities[row].argmax())
        best, others = similarities[row, place], np.delete(similarities[row], place)
        is_clear = not others.size or best - others.max() >= MIN_MARGIN
        if best >= MIN_SIMILARITY and is_clear and place not in result.values():
            result[numbers[row]] = place
    return result


def _longest(spans: Iterable[Span]) -> list[Span]:
    """The spans that are long enough to describe a voice: the vectors of short spans are
    unreliable, and often more similar to those of someone else."""
    long = [span for span in spans if span.end - span.start >= MIN_SPAN_S]
    return sorted(long, key=lambda span: span.start - span.end)


def encoder() -> VoiceEncoder:
    """Loaded at the first use. Raises EngineUnavailable."""
    with _lock:
        return _create()


@cache
def _create() -> VoiceEncoder:
    return VoiceEncoder()
