"""Conversations between voices, created from the sample recording by changing its pitch."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest

from gpu.diarization.embedded import EmbeddedDiarizer
from gpu.pcm import SAMPLE_RATE_HZ
from gpu.tests.diarization.errors import Stretch
from gpu.types import Audio, Span
from transcodio_site.testing import SAMPLE

PAUSE_S = 0.3
Samples = np.ndarray[Any, np.dtype[np.int16]]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Prepared audio, and who speaks when."""

    audio: Audio
    reference: list[Stretch]


Talk = Callable[..., Conversation]
Sentences = Callable[[float], list[Samples]]


@pytest.fixture(scope="session")
def diarizer() -> EmbeddedDiarizer:
    return EmbeddedDiarizer()


@pytest.fixture(scope="session")
def sentences() -> Sentences:
    """A function that returns the sentences of the sample, spoken by a voice with this pitch (1:
    unchanged)."""
    known: dict[float, list[Samples]] = {}

    def spoken(pitch: float) -> list[Samples]:
        if pitch not in known:
            known[pitch] = _sentences(pitch)
        return known[pitch]

    return spoken


@pytest.fixture
def talk(tmp_path: Path, sentences: Sentences) -> Talk:
    """A function that returns a conversation between voices with these pitches, one sentence after
    another, or each `overlap` seconds before the end of the previous one."""

    def make(
        pitches: Sequence[float], volume: Sequence[float] = (1.0,), overlap: float = 0.0
    ) -> Conversation:
        mixed = np.zeros(0, np.int32)
        reference, spans = list[Stretch](), list[Span]()
        for number, pitch in enumerate(pitches):
            said = sentences(pitch)[number % len(sentences(pitch))]
            said = (said * volume[number % len(volume)]).astype(np.int16)
            pause = -overlap if overlap and reference else PAUSE_S
            first = len(mixed) + round(pause * SAMPLE_RATE_HZ)
            mixed = np.pad(mixed, (0, first + len(said) - len(mixed)))
            mixed[first:] += said
            span = Span(first / SAMPLE_RATE_HZ, len(mixed) / SAMPLE_RATE_HZ)
            reference.append((span.start, span.end, str(pitch)))
            spans.append(span)
        if overlap:
            spans = [Span(spans[0].start, spans[-1].end)]
        path = tmp_path / "talk.wav"
        with wave.open(str(path), "wb") as wav:
            wav.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
            wav.writeframes(np.clip(mixed, -32768, 32767).astype(np.int16).tobytes())
        return Conversation(Audio(path, reference[-1][1], tuple(spans)), reference)

    return make


def _sentences(pitch: float) -> list[Samples]:
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    samples = _read(pitch, SAMPLE_RATE_HZ)
    at_16_khz = (_read(pitch, 16_000) / 32768).astype(np.float32)
    options = VadOptions(min_silence_duration_ms=300, speech_pad_ms=100)
    return list(_cut(samples, get_speech_timestamps(at_16_khz, options)))


def _cut(samples: Samples, stretches: list[dict[str, int]]) -> Iterator[Samples]:
    for stretch in stretches:
        start, end = (round(stretch[edge] * SAMPLE_RATE_HZ / 16_000) for edge in ("start", "end"))
        if end - start > 2 * SAMPLE_RATE_HZ:
            yield samples[start:end]


def _read(pitch: float, rate_hz: int) -> Samples:
    changed = f"aresample=48000,asetrate={round(48000 * pitch)},aresample={rate_hz}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(SAMPLE)]
    output = ["-af", f"{changed},atempo={1 / pitch:.4f}", "-f", "s16le", "-ac", "1", "-"]
    done = subprocess.run([*command, *output], check=True, stdout=subprocess.PIPE)
    return np.frombuffer(done.stdout, "<i2")
