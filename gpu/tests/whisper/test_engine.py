"""The embedded engine on real speech with its real weights."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu import pcm
from gpu.tests.conftest import Samples, WriteWav
from gpu.tests.wer import word_error_rate
from gpu.tests.whisper.conftest import TEN, never, text_of, words_of
from gpu.types import (
    Audio,
    Cancelled,
    Complete,
    Engine,
    EngineUnavailable,
    Metadata,
    RecognitionOptions,
    Segment,
    Span,
    UnsupportedLanguage,
    UnsupportedTask,
    UsageDelta,
    Word,
)
from gpu.whisper import WhisperEngine
from gpu.whisper.model import Encoded, Model


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * pcm.SAMPLE_RATE_HZ), dtype=np.int16)


# --- Recognition --------------------------------------------------------------------------------


def test_metadata_comes_first_and_complete_last(engine: Engine, sample: Path) -> None:
    first, *segments, last = engine.stream(Audio(sample, 43, (Span(1, 5),)), never)
    assert first == Metadata("en", "whisper-base")  # it was detected
    assert segments
    assert all(isinstance(segment, Segment) for segment in segments[1::2])
    usage = [event.decode_seconds for event in segments[::2] if isinstance(event, UsageDelta)]
    assert len(usage) == len(segments) / 2
    assert isinstance(last, Complete)
    assert last.audio_seconds == 4
    assert 0 < sum(usage) <= last.decode_seconds


@pytest.mark.slow
def test_window_that_detected_the_language_is_not_encoded_again(
    engine: WhisperEngine, sample: Path, alone: list[Word], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    encode = Model.encode

    def counted(model: Model, windows: Any) -> Any:
        encoded.append(len(windows))
        return encode(model, windows)

    monkeypatch.setattr(Model, "encode", counted)
    assert words_of(engine, Audio(sample, 10, (TEN,))) == alone
    assert encoded == [1]


def test_words_are_in_order_within_their_speech(alone: list[Word]) -> None:
    times = [time for word in alone for time in (word.start, word.end)]
    assert len(alone) > 20
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= 10


def test_requested_language_is_used(engine: Engine, sample: Path) -> None:
    assert next(engine.stream(Audio(sample, 10, (TEN,), "de"), never)) == Metadata(
        "de", "whisper-base"
    )


@pytest.mark.parametrize(
    ("candidates", "detected"),
    [
        (("de", "en"), {"en"}),
        pytest.param(("de", "fr"), {"de", "fr"}, marks=pytest.mark.slow),
        pytest.param(("tlh", "fi"), {"fi"}, marks=pytest.mark.slow),
    ],
)
def test_only_candidates_are_detected(
    engine: Engine, sample: Path, candidates: tuple[str, ...], detected: set[str]
) -> None:
    options = RecognitionOptions(languages=candidates)
    audio = Audio(sample, 43, (Span(1, 10), Span(10, 21.9), Span(22.2, 34)), options=options)
    metadata, *events = engine.stream(audio, never)
    assert isinstance(metadata, Metadata)
    languages = {event.language for event in events if isinstance(event, Segment)}
    assert {metadata.language, *languages} <= detected


def test_candidates_that_the_model_does_not_know_are_refused(engine: Engine, sample: Path) -> None:
    options = RecognitionOptions(languages=("tlh", "qya"))
    with pytest.raises(UnsupportedLanguage, match="tlh, qya"):
        next(engine.stream(Audio(sample, 10, (TEN,), options=options), never))


def test_unsupported_language_is_refused(engine: Engine, sample: Path) -> None:
    with pytest.raises(UnsupportedLanguage, match="tlh"):
        next(engine.stream(Audio(sample, 10, (TEN,), "tlh"), never))


def test_audio_without_speech_has_no_words(engine: Engine, sample: Path) -> None:
    assert list(engine.stream(Audio(sample, 10, ()), never))[:-1] == [
        Metadata("en", "whisper-base")
    ]


def test_no_text_is_invented_in_silence(
    engine: Engine, write_wav: WriteWav, speech: Samples, alone: list[Word]
) -> None:
    path = write_wav(np.concatenate([speech, silence(10)]))
    words = words_of(engine, Audio(path, 20, (Span(0, 20),), "en"))
    assert word_error_rate(text_of(alone), text_of(words)) < 0.1
    assert words[-1].end < 10


def test_words_of_one_batch_have_the_times_of_distant_windows(
    engine: Engine,
    write_wav: WriteWav,
    speech: Samples,
    alone: list[Word],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_wav(np.concatenate([speech, silence(60)] * 3))
    seconds_read: list[float] = []
    read_resampled = pcm.read_resampled

    def noted(path: Path, start: float, end: float, rate: int) -> Any:
        seconds_read.append(end - start)
        return read_resampled(path, start, end, rate)

    monkeypatch.setattr(pcm, "read_resampled", noted)
    spans = tuple(Span(at, at + 10) for at in (0, 70, 140))
    words = words_of(engine, Audio(path, 210, spans, "en"))
    assert sum(seconds_read) == 30  # without the silence between them
    for span in spans:
        again = [word for word in words if span.start <= word.start < span.end]
        assert word_error_rate(text_of(alone), text_of(again)) < 0.1
        assert again[0].start - span.start == pytest.approx(alone[0].start, abs=0.2)
        assert again[-1].end - span.start == pytest.approx(alone[-1].end, abs=0.2)


def test_keywords_are_spelled_as_they_are_given(engine: Engine, sample: Path) -> None:
    options = RecognitionOptions(prompt="A walk.", keywords=("harbour",))
    words = words_of(engine, Audio(sample, 10, (Span(0, 6),), "en", options))
    assert "harbour" in text_of(words)
    assert "harbor" not in text_of(words)


def test_keywords_are_a_sentence_before_the_prompt(engine: WhisperEngine) -> None:
    """After a list without a period, the model writes none."""
    model, *_ = engine._load()
    tokenizer = model._tokenizer("en", False)
    options = RecognitionOptions("A walk.", ("Quillfeather", "Okonkwo"))
    assert tokenizer.decode(model._prompt(tokenizer, options)) == " Quillfeather, Okonkwo. A walk."


def test_text_goes_on_after_its_prefix(engine: WhisperEngine, sample: Path) -> None:
    model, *_ = engine._load()
    encoded = model.encode([pcm.read_resampled(sample, 0, 6, 16_000)])
    (whole,) = model.decode(encoded, "en", RecognitionOptions())
    prefix = [token for word in whole.words[:5] for token in word.tokens]
    (rest,) = model.decode(encoded, "en", RecognitionOptions(), prefix=prefix)
    assert [word.text for word in rest.words] == [word.text for word in whole.words[5:]]
    assert rest.words[0].start == pytest.approx(whole.words[5].start, abs=0.05)
    assert -1 < rest.decoding.avg_logprob < 0


@pytest.mark.slow
@pytest.mark.parametrize("prompt", ["", "A walk by the harbor. " * 200])
def test_many_keywords_and_a_long_prompt_leave_room_for_the_text(
    engine: Engine, sample: Path, alone: list[Word], prompt: str
) -> None:
    keywords = tuple(f"Quillfeather{number}" for number in range(200))
    options = RecognitionOptions(prompt, keywords)
    words = words_of(engine, Audio(sample, 10, (TEN,), "en", options))
    assert word_error_rate(text_of(alone), text_of(words)) < 0.3


def test_model_for_english_cannot_translate(
    engine: Engine, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "is_multilingual", False)
    options = RecognitionOptions(translate=True)
    with pytest.raises(UnsupportedTask):
        next(engine.stream(Audio(sample, 10, (TEN,), "en", options), never))


def test_stopped_stream_ends_before_the_next_batch(engine: Engine, sample: Path) -> None:
    spans = (Span(0, 9.5), Span(10, 33), Span(34, 43))
    events: list[Any] = []

    def after_the_first_segment() -> bool:
        return any(isinstance(event, Segment) for event in events)

    stream = engine.stream(Audio(sample, 43, spans, "en"), after_the_first_segment)
    with pytest.raises(Cancelled):
        deque(map(events.append, stream))
    *_, last, usage = events
    assert last.end <= 33
    assert isinstance(usage, UsageDelta)  # also for audio that led to no words


@pytest.mark.slow
def test_concurrent_recordings_have_the_same_words_as_alone(
    sample: Path, engine: Engine, alone: list[Word]
) -> None:
    pieces = [Audio(sample, 43, (span,), "en") for span in (TEN, Span(20, 26))]
    apart = [alone, words_of(engine, pieces[1])]
    together: dict[int, list[Word]] = {}
    start = threading.Barrier(2)

    def work(index: int) -> None:
        start.wait()
        together[index] = words_of(engine, pieces[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[0], together[1]] == apart


def test_concurrent_first_recordings_load_one_model(sample: Path) -> None:
    fresh = WhisperEngine()
    start = threading.Barrier(2)
    models: list[Any] = []

    def load() -> None:
        start.wait()
        next(fresh.stream(Audio(sample, 10, (TEN,), "en"), never))
        models.append(fresh._loaded)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert models[0] is models[1]


@pytest.mark.parametrize("name", ["/no/such/folder", "no-such-size", "nobody/no-such-model"])
def test_missing_model_is_reported_to_the_operator(
    sample: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A port without a server fails like a machine without a network, but immediately.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(EngineUnavailable, match=f"WHISPER_MODEL='{name}' .*needs no network") as it:
        next(WhisperEngine(name).stream(Audio(sample, 10, (TEN,), "en"), never))
    assert "Try again later" in it.value.user_message


# --- What the decoder knows ---------------------------------------------------------------------


def test_segments_have_the_statistics_of_the_decoder(engine: Engine, sample: Path) -> None:
    events = engine.stream(Audio(sample, 10, (TEN,), "en"), never)
    segments = [event for event in events if isinstance(event, Segment)]
    for segment in segments:
        assert segment.language == "en"
        assert all(0 < word.probability <= 1 for word in segment.words)  # type: ignore[operator]
        assert segment.decoding is not None
        assert -1 < segment.decoding.avg_logprob < 0
        assert 0 <= segment.decoding.no_speech_prob < 0.5
        assert 0.5 < segment.decoding.compression_ratio < 2.4
        assert len(segment.decoding.tokens) >= len(segment.words)


@pytest.fixture
def german_after_5_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model believes all but the first five seconds of a window to be German."""

    def probabilities(
        model: Model, encoded: Encoded, window: int, start: float, end: float
    ) -> dict[str, float]:
        return {"en": 0.01, "de": 0.98} if start >= 5 else {"en": 0.98, "de": 0.01}

    monkeypatch.setattr(Model, "language_probabilities", probabilities)


@pytest.mark.usefixtures("german_after_5_s")
def test_segments_end_where_the_language_changes(engine: Engine, sample: Path) -> None:
    spans = tuple(Span(at, at + 5.5) for at in range(0, 24, 6))  # windows: 0 to 5.5, 6 to 23.5
    metadata, *events = engine.stream(Audio(sample, 43, spans), never)
    segments = [event for event in events if isinstance(event, Segment)]
    assert metadata == Metadata("en", "whisper-base")
    assert {segment.language for segment in segments} == {"en", "de"}
    for segment in segments:
        is_before = segment.end <= 11.75  # in the middle of the silence
        assert segment.language == ("en" if is_before else "de")
        assert is_before or segment.start >= 11.75
