"""STT_ENGINE=kyutai: a prepared recording in, events out."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from gpu import pcm
from gpu.kyutai.checkpoint import Checkpoint
from gpu.kyutai.engine import KyutaiEngine
from gpu.metering import DeviceClock
from gpu.tests import tiny
from gpu.tests.conftest import WriteWav, lengthen
from gpu.types import (
    Audio,
    Cancelled,
    Complete,
    DeviceLost,
    DeviceUnrecoverable,
    EngineUnavailable,
    Metadata,
    OutOfMemory,
    Partial,
    RecognitionOptions,
    Segment,
    Span,
    UnsupportedLanguage,
    UnsupportedTask,
    UsageDelta,
    Word,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KyutaiEngine]:
    folder = tmp_path_factory.mktemp("models") / "stt-tiny"
    tiny.save(folder)
    engine = KyutaiEngine(str(folder), "cpu", rows=4)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Audio:
    """150 seconds of noise, of which a good part counts as speech."""
    path = tmp_path_factory.mktemp("audio") / "audio.wav"
    samples = np.random.default_rng(1).standard_normal(150 * pcm.SAMPLE_RATE_HZ) * 3000
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(pcm.SAMPLE_RATE_HZ)
        out.writeframes(samples.astype("<i2").tobytes())
    spans = (Span(5, 20), Span(22, 45), Span(50, 70), Span(100, 120), Span(121, 140))
    return Audio(path, 150.0, spans)


def never() -> bool:
    return False


def test_recording_becomes_segments_in_order(
    engine: KyutaiEngine, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Device time in steps, and not in seconds, which a busy machine would stretch.
    monkeypatch.setattr(engine.batcher(), "_clock", DeviceClock(count().__next__))
    first, *segments, last = list(engine.stream(audio, never))
    assert first == Metadata("en", "stt-tiny")
    assert isinstance(last, Complete)
    assert last.audio_seconds == 97.0
    assert last.decode_seconds > 0
    usage = [event.decode_seconds for event in segments if isinstance(event, UsageDelta)]
    words = [word for s in segments if isinstance(s, Segment) for word in s.words]
    assert min(usage) >= 0
    assert 0.5 * last.decode_seconds < sum(usage) <= last.decode_seconds
    assert len(words) > 50
    times = [t for word in words for t in (word.start, word.end)]
    assert times == sorted(times)
    assert audio.spans[0].start <= times[0]
    assert times[-1] <= audio.spans[-1].end + 1
    assert any(100 <= t <= 140 for t in times)  # the second window's times are absolute


def test_words_end_with_the_speech_they_begin_in(engine: KyutaiEngine, audio: Audio) -> None:
    spans = tuple(Span(n, n + 0.7) for n in range(140))
    events = list(engine.stream(Audio(audio.path, audio.duration, spans), never))
    words = [word for event in events if isinstance(event, Segment) for word in event.words]
    begun = [
        (word, span) for word in words for span in spans if span.start <= word.start < span.end
    ]
    assert len(begun) > 30
    assert all(word.end <= span.end for word, span in begun)


def test_partials_are_yielded_if_enabled(
    engine: KyutaiEngine, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Audio(audio.path, audio.duration, audio.spans[:1])
    expected = [e for e in engine.stream(short, never) if isinstance(e, Segment)]
    monkeypatch.setattr("gpu.config.STT_PARTIALS", True)
    events = [e for e in engine.stream(short, never) if isinstance(e, Partial | Segment)]
    assert [e for e in events if isinstance(e, Segment)] == expected
    partial: tuple[Word, ...] = ()
    for event in events:
        if isinstance(event, Segment):
            assert partial == event.words[: len(partial)]
            partial = ()
        else:
            assert partial == event.words[: len(partial)]
            assert len(event.words) > len(partial)
            partial = event.words
    assert sum(isinstance(e, Partial) for e in events) > len(expected)


def test_engine_recovers_after_a_lost_device(
    engine: KyutaiEngine, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = engine.batcher()
    stream = engine.stream(audio, never)
    next(stream)
    monkeypatch.setattr(before._decoder, "step", lambda: 1 / 0)
    with pytest.raises(DeviceLost, match="the decoder failed"):
        list(stream)
    assert any(isinstance(event, Segment) for event in engine.stream(audio, never))
    assert engine.batcher() is not before
    assert not any(thread.is_alive() for thread in before._threads)


@pytest.mark.slow
def test_device_that_cannot_be_used_again_is_unrecoverable(
    audio: Audio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.save(tmp_path)
    engine = KyutaiEngine(str(tmp_path), "cpu", rows=2)
    batcher = engine.batcher()
    monkeypatch.setattr(batcher._decoder, "step", lambda: 1 / 0)
    with pytest.raises(DeviceLost):
        list(engine.stream(audio, never))
    with monkeypatch.context() as gone:
        gone.setattr(Checkpoint, "load", lambda *_: 1 / 0)
        with pytest.raises(DeviceUnrecoverable, match="restart the process"):
            list(engine.stream(audio, never))
    assert any(isinstance(event, Segment) for event in engine.stream(audio, never))
    engine.close()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: out of memory"),
    ],
)
def test_full_memory_while_loading_is_reported_as_out_of_memory(
    audio: Audio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise error

    tiny.save(tmp_path, 24)
    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(OutOfMemory, match=r"out of memory|ALLOC_FAILED"):
        list(KyutaiEngine(str(tmp_path), "cpu").stream(audio, never))


def test_transcription_can_start_in_the_middle(engine: KyutaiEngine, audio: Audio) -> None:
    words = [
        word
        for event in engine.stream(audio.after(99.0), never)
        if isinstance(event, Segment)
        for word in event.words
    ]
    assert words
    assert words[0].start >= 100


@pytest.mark.slow
def test_three_hours_need_no_more_memory_than_three_minutes(
    engine: KyutaiEngine, audio: Audio, write_wav: WriteWav
) -> None:
    path = write_wav(np.zeros(0, np.int16))
    lengthen(path, 3 * 3600)
    list(engine.stream(audio, never))  # whatever is allocated once is there now
    spans = tuple(Span(start, start + 20.0) for start in range(0, 3 * 3600, 200))
    process, sizes, ends = psutil.Process(), [], [0.0]
    before = process.memory_info().rss
    for event in engine.stream(Audio(path, 3 * 3600.0, spans), never):
        sizes.append(process.memory_info().rss - before)
        if isinstance(event, Segment):
            ends.append(event.end)
    assert max(sizes) < 64 << 20
    assert ends == sorted(ends)
    assert ends[-1] > 3 * 3600 - 600


def test_unsupported_language_is_refused_before_loading(audio: Audio) -> None:
    engine = KyutaiEngine("/nonexistent", "cpu")
    with pytest.raises(UnsupportedLanguage):
        list(engine.stream(Audio(audio.path, 1, (), "de"), never))
    candidates = RecognitionOptions(languages=("de", "fr"))
    with pytest.raises(UnsupportedLanguage, match="de, fr"):
        list(engine.stream(Audio(audio.path, 1, (), options=candidates), never))


def test_translation_is_refused_before_loading(audio: Audio) -> None:
    options = RecognitionOptions(translate=True)
    with pytest.raises(UnsupportedTask):
        list(KyutaiEngine("/nonexistent", "cpu").stream(replace(audio, options=options), never))


def test_stopped_stream_raises_cancelled(engine: KyutaiEngine, audio: Audio) -> None:
    with pytest.raises(Cancelled):
        list(engine.stream(audio, lambda: True))


def test_missing_model_is_reported_to_the_operator(audio: Audio) -> None:
    with pytest.raises(EngineUnavailable, match="STT_MODEL_ID"):
        list(KyutaiEngine("/nonexistent", "cpu").stream(audio, never))
