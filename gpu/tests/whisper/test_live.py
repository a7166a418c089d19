"""Live speech with the real weights. The audio is the clock: it arrives faster than real time, but
never faster than it is processed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu import pcm
from gpu.tests.wer import word_error_rate
from gpu.types import (
    Audio,
    Cancelled,
    Commit,
    Complete,
    LiveAudio,
    LiveEvent,
    Metadata,
    Partial,
    RecognitionOptions,
    Segment,
    Span,
    TurnEnded,
    TurnStarted,
    UnsupportedLanguage,
    UsageDelta,
    Word,
)
from gpu.whisper import WhisperEngine, live
from gpu.whisper.decoded import Samples
from gpu.whisper.live_window import LiveWindow
from gpu.whisper.model import Encoded, Model

CHUNK_S = 0.1


def never() -> bool:
    return False


@pytest.fixture(autouse=True)
def steady_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypotheses do not depend on how busy the machine is, and are fewer, to save time."""
    monkeypatch.setattr(live, "MAX_SHARE", 1e9)
    monkeypatch.setattr(live, "INTERVAL_S", 1.5)


@pytest.fixture(scope="session")
def sample(media: Any) -> Path:
    """The sample recording as `preprocess` would write it."""
    return Path(media.speech("sample-24k.wav", None, "-ar", str(pcm.SAMPLE_RATE_HZ), "-ac", "1"))


@pytest.fixture(scope="session")
def speech(sample: Path) -> Samples:
    """Its first 22 seconds: two turns, 0.15 to 9.6 and 9.9 to 21.9."""
    return pcm.read_samples(sample, 0, 22).astype(np.float32) / np.float32(32768)


@pytest.fixture(scope="session")
def heard(engine: WhisperEngine, speech: Samples) -> list[LiveEvent]:
    """What the engine recognizes in them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(live, "MAX_SHARE", 1e9)
        return listen(engine, cut(speech))


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * pcm.SAMPLE_RATE_HZ), np.float32)


def cut(samples: Samples, seconds: Iterable[float] | None = None) -> Iterator[Samples]:
    """Chunks of these lengths."""
    lengths = repeat(CHUNK_S) if seconds is None else iter(seconds)
    while len(samples):
        length = round(next(lengths) * pcm.SAMPLE_RATE_HZ)
        yield samples[:length]
        samples = samples[length:]


def listen(
    engine: WhisperEngine,
    chunks: Iterable[Samples | Commit],
    language: str | None = "en",
    **audio: Any,
) -> list[LiveEvent]:
    return list(engine.live(LiveAudio(iter(chunks), language=language, **audio), never))


def segments_of(events: list[LiveEvent]) -> list[Segment]:
    return [event for event in events if isinstance(event, Segment)]


def words_of(events: list[LiveEvent]) -> list[Word]:
    return [word for segment in segments_of(events) for word in segment.words]


def text_of(events: list[LiveEvent]) -> str:
    return " ".join(segment.text for segment in segments_of(events))


def turns_of(events: list[LiveEvent]) -> list[TurnStarted | TurnEnded]:
    return [event for event in events if isinstance(event, TurnStarted | TurnEnded)]


def test_words_are_those_of_the_file(
    engine: WhisperEngine, sample: Path, heard: list[LiveEvent]
) -> None:
    spans = Span(0, 9.6), Span(9.9, 22)
    events = list(engine.stream(Audio(sample, 22, spans, "en"), never))
    words = [word for event in events if isinstance(event, Segment) for word in event.words]
    assert word_error_rate(" ".join(word.text for word in words), text_of(heard)) < 0.03
    live_words = words_of(heard)
    if len(words) == len(live_words):
        for word, other in zip(words, live_words, strict=True):
            assert word.start == pytest.approx(other.start, abs=0.5)


def test_metadata_comes_first_and_complete_last(heard: list[LiveEvent]) -> None:
    assert heard[0] == Metadata("en", "whisper-base")
    usage = [event.decode_seconds for event in heard if isinstance(event, UsageDelta)]
    last = heard[-1]
    assert isinstance(last, Complete)
    assert last.audio_seconds == pytest.approx(21, abs=1)
    assert 0 < sum(usage) <= last.decode_seconds
    for before, event in pairwise(heard):
        assert isinstance(before, UsageDelta) == isinstance(event, Segment)


def test_firm_words_never_change(heard: list[LiveEvent]) -> None:
    complete: tuple[Word, ...] = ()
    firm: tuple[Word, ...] = ()
    tentative = 0
    for event in heard:
        if isinstance(event, Segment):
            complete += event.words
            assert (complete + firm[len(complete) :])[: len(firm)] == firm
        elif isinstance(event, Partial):
            now = complete + event.words[: len(event.words) - event.tentative]
            assert now[: len(firm)] == firm
            firm = now
            tentative += event.tentative
    assert complete[: len(firm)] == firm
    assert len(firm) > 30
    assert tentative > 10


def test_words_are_in_order_within_their_turns(heard: list[LiveEvent]) -> None:
    times = [time for word in words_of(heard) for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(isinstance(word.probability, float) for word in words_of(heard))
    assert all(segment.language == "en" and segment.decoding for segment in segments_of(heard))


def test_turns_begin_and_end_at_pauses(heard: list[LiveEvent]) -> None:
    one, one_end, two, two_end = turns_of(heard)
    assert isinstance(one, TurnStarted)
    assert isinstance(one_end, TurnEnded)
    assert one.start == pytest.approx(0.3, abs=0.2)
    assert one_end.end == pytest.approx(9.4, abs=0.2)
    assert isinstance(two, TurnStarted)
    assert isinstance(two_end, TurnEnded)
    assert two.start == pytest.approx(10.1, abs=0.2)
    for segment in segments_of(heard[: heard.index(one_end)]):
        assert segment.end < 9.8
    for segment in segments_of(heard[heard.index(two) :]):
        assert segment.start > 9.6


def test_times_are_those_of_the_recording(engine: WhisperEngine, speech: Samples) -> None:
    events = listen(engine, cut(speech[: 3 * pcm.SAMPLE_RATE_HZ]), start=3600.0)
    assert words_of(events)[0].start == pytest.approx(3600.3, abs=0.3)
    assert isinstance(events[1], TurnStarted)
    assert events[1].start == pytest.approx(3600.3, abs=0.2)


def test_commit_ends_a_turn_at_once(engine: WhisperEngine, speech: Samples) -> None:
    commits = Commit(7), Commit(8)
    chunks: list[Samples | Commit] = [*cut(speech[: 4 * pcm.SAMPLE_RATE_HZ]), *commits]
    events = listen(engine, chunks, turn_silence_s=None)
    first, second = (event for event in events if isinstance(event, TurnEnded))
    assert (first.commit, second.commit) == (7, 8)
    assert first.end == second.end == pytest.approx(4, abs=0.1)
    assert "walking along" in text_of(events[: events.index(first)])
    assert not segments_of(events[events.index(first) :])


@pytest.mark.slow
def test_words_become_firm_without_turns(engine: WhisperEngine, speech: Samples) -> None:
    audio = np.concatenate([speech[: 10 * pcm.SAMPLE_RATE_HZ], silence(2)])
    events = listen(engine, [*cut(audio), Commit(1)], turn_silence_s=None)
    segments = segments_of(events)
    assert [type(turn) for turn in turns_of(events)] == [TurnStarted, TurnEnded]
    assert segments[-1].text.endswith("bread.")
    assert events.index(segments[-1]) < events.index(turns_of(events)[-1])


@pytest.mark.parametrize("level", [0.0, 0.01])
def test_nothing_is_decoded_in_silence(engine: WhisperEngine, level: float) -> None:
    noise = np.random.default_rng(1).standard_normal(60 * pcm.SAMPLE_RATE_HZ) * level
    events = listen(engine, cut(noise.astype(np.float32)), language=None)
    assert events == [Metadata("en", "whisper-base"), Complete(0.0, 0.0)]


def test_audio_that_never_comes_is_no_error(engine: WhisperEngine) -> None:
    events = listen(engine, [silence(0), Commit(1), silence(0)], start=2.0)
    assert events == [Metadata("en", "whisper-base"), TurnEnded(2.0, 1), Complete(0.0, 0.0)]


@pytest.mark.slow
def test_random_chunks_have_the_same_text(engine: WhisperEngine, speech: Samples) -> None:
    audio = speech[: 10 * pcm.SAMPLE_RATE_HZ]
    lengths = np.random.default_rng(5).exponential(0.4, 1000)
    texts = [text_of(listen(engine, chunks)) for chunks in (cut(audio), cut(audio, lengths))]
    assert texts[0] == texts[1]


def test_language_is_detected(engine: WhisperEngine, speech: Samples) -> None:
    events = listen(engine, cut(speech[: 5 * pcm.SAMPLE_RATE_HZ]), language=None)
    metadata = next(event for event in events if isinstance(event, Metadata))
    assert metadata.language == "en"
    assert {segment.language for segment in segments_of(events)} == {"en"}


def test_first_word_alone_does_not_decide_on_the_language(
    engine: WhisperEngine, speech: Samples
) -> None:
    end, later = round(1.1 * pcm.SAMPLE_RATE_HZ), 5 * pcm.SAMPLE_RATE_HZ
    audio = np.concatenate([speech[:end], silence(2), speech[end:later]])
    events = listen(engine, cut(audio), language=None)
    assert {segment.language for segment in segments_of(events)} == {"en"}


@pytest.mark.slow
def test_language_may_change_between_turns(
    engine: WhisperEngine, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, second_turn = LiveWindow.decode, [False]

    def decode(window: LiveWindow, *arguments: Any) -> Any:
        second_turn[0] = window.start > 9.5
        return encode(window, *arguments)

    def probabilities(
        model: Model, encoded: Encoded, window: int, start: float, end: float
    ) -> dict[str, float]:
        return {"de": 0.98, "en": 0.01} if second_turn[0] else {"en": 0.98, "de": 0.01}

    monkeypatch.setattr(LiveWindow, "decode", decode)
    monkeypatch.setattr(Model, "language_probabilities", probabilities)
    events = listen(engine, cut(speech[: 14 * pcm.SAMPLE_RATE_HZ]), language=None)
    languages = [(segment.language, segment.start > 9.5) for segment in segments_of(events)]
    assert {("en", False), ("de", True)} == set(languages)


def test_language_that_the_model_does_not_know_is_refused(engine: WhisperEngine) -> None:
    options = RecognitionOptions(languages=("tlh",))
    for audio in (
        LiveAudio(iter([silence(1)]), language="tlh"),
        LiveAudio(iter([silence(1)]), options=options),
    ):
        with pytest.raises(UnsupportedLanguage, match="tlh"):
            next(engine.live(audio, never))


def test_stopped_session_is_cancelled(engine: WhisperEngine, speech: Samples) -> None:
    events: list[LiveEvent] = []

    def after_the_first_words() -> bool:
        return any(isinstance(event, Partial) for event in events)

    stream = engine.live(LiveAudio(cut(speech), language="en"), after_the_first_words)
    with pytest.raises(Cancelled):
        deque(map(events.append, stream))
    assert not any(isinstance(event, Complete) for event in events)


@pytest.mark.slow
def test_memory_is_bounded(
    engine: WhisperEngine, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = 0.0
    append = LiveWindow.append

    def measured(window: LiveWindow, samples: Samples) -> None:
        nonlocal longest
        append(window, samples)
        longest = max(longest, len(window._samples) / 16_000)

    monkeypatch.setattr(LiveWindow, "append", measured)
    monkeypatch.setattr(live, "INTERVAL_S", 6.0)
    audio = np.concatenate([silence(300), speech, silence(300)])
    listen(engine, cut(audio, repeat(1.0)), turn_silence_s=None)
    assert longest < 20
