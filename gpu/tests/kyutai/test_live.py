"""STT_ENGINE=kyutai: live speech in, turns and words out, while it is spoken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu.kyutai.engine import KyutaiEngine
from gpu.kyutai.languages import languages_of
from gpu.kyutai.speech_gate import BLOCK_SAMPLES, SpeechGate
from gpu.metering import DeviceClock
from gpu.pcm import SAMPLE_RATE_HZ
from gpu.tests import tiny
from gpu.types import (
    Audio,
    Cancelled,
    Commit,
    Complete,
    DeviceLost,
    LiveAudio,
    LiveEvent,
    Metadata,
    Partial,
    RecognitionOptions,
    Segment,
    TurnEnded,
    TurnStarted,
    UnsupportedLanguage,
    UnsupportedTask,
    UsageDelta,
    Word,
)
from gpu.windows import Window
from transcodio_site.testing import wait_until

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]


def never() -> bool:
    return False


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE_HZ), np.float32)


def speech(seconds: float, seed: int = 0) -> Samples:
    """Noise with gaps of 80 ms, as between syllables."""
    length = int(seconds * SAMPLE_RATE_HZ)
    noise = np.random.default_rng(seed).standard_normal(length) * 0.1
    noise[np.arange(length) % 9600 >= 7680] = 0
    return noise.astype(np.float32)


def pieces(samples: Samples, length: int = 2400) -> Iterator[Samples]:
    for start in range(0, len(samples), length):
        yield samples[start : start + length]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KyutaiEngine]:
    folder = tmp_path_factory.mktemp("models") / "stt-tiny"
    tiny.save(folder)
    engine = KyutaiEngine(str(folder), "cpu", rows=4)
    yield engine
    engine.close()


def listen(engine: KyutaiEngine, *audio: Samples | Commit, **more: Any) -> list[LiveEvent]:
    return list(engine.live(LiveAudio(iter(audio), **more), never))


def turns_and_segments(events: list[LiveEvent]) -> list[LiveEvent]:
    return [e for e in events if isinstance(e, Segment | TurnStarted | TurnEnded)]


def words_of(events: list[LiveEvent]) -> list[Word]:
    return [word for e in events if isinstance(e, Segment) for word in e.words]


TALK = np.concatenate((silence(1), speech(3), silence(2), speech(2, seed=1), silence(1)))


def test_turns_have_the_words_between_their_events(engine: KyutaiEngine) -> None:
    first, *events, last = listen(engine, *pieces(TALK))
    assert first == Metadata("en", "stt-tiny")
    assert isinstance(last, Complete)
    starts = [e.start for e in events if isinstance(e, TurnStarted)]
    ends = [e.end for e in events if isinstance(e, TurnEnded)]
    assert starts == pytest.approx([1.0, 6.0], abs=0.05)
    assert ends == pytest.approx([4.0, 8.0], abs=1.0)  # the random words may end later
    kinds = [type(e) for e in turns_and_segments(events)]
    assert (kinds[0], kinds[-1]) == (TurnStarted, TurnEnded)
    second = kinds.index(TurnStarted, 1)
    assert kinds[second - 1] is TurnEnded
    assert kinds.count(Segment) == len(kinds) - 4
    words = words_of(events)
    assert len(words) > 10
    times = [t for word in words for t in (word.start, word.end)]
    assert times == sorted(times)
    assert 0.5 < times[0] < 4 < 5.5 < times[-1] < 10


def test_words_do_not_depend_on_the_length_of_chunks(engine: KyutaiEngine) -> None:
    expected = turns_and_segments(listen(engine, TALK))
    for length in (480, 1000, 24_000):
        assert turns_and_segments(listen(engine, *pieces(TALK, length))) == expected


def test_words_are_those_of_the_same_stretch_in_a_recording(
    engine: KyutaiEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher, starts = engine.batcher(), list[float]()
    begin = batcher.begin

    def note(job: Any, start: float) -> Any:
        starts.append(start)
        return begin(job, start)

    monkeypatch.setattr(batcher, "begin", note)
    said = np.concatenate((silence(2), speech(3)))
    live = words_of(listen(engine, *pieces(said), start=100.0))
    (start,) = starts
    assert 101.4 < start < 102
    rest = said[round((start - 100) * SAMPLE_RATE_HZ) :]
    offline = list(batcher.submit([Window(start, lambda: rest)]).words())
    assert [word.text for word in live] == [word.text for word in offline]
    assert [word.start for word in live] == pytest.approx([word.start for word in offline])


def test_words_come_while_audio_is_still_sent(engine: KyutaiEngine) -> None:
    words: list[Partial] = []

    def chunks() -> Iterator[Samples]:
        for seed in count():
            yield from pieces(speech(1, seed))
            if words:
                return

    for event in engine.live(LiveAudio(chunks()), never):
        if isinstance(event, Partial):
            words.append(event)
    assert words


def test_firm_words_of_partials_are_the_segment_that_follows(engine: KyutaiEngine) -> None:
    firm: tuple[Word, ...] = ()
    tentative = 0
    for event in listen(engine, *pieces(np.tile(TALK, 3))):
        if isinstance(event, Partial):
            tentative += event.tentative
            now = event.words[: len(event.words) - event.tentative]
            assert now[: len(firm)] == firm
            firm = now
        elif isinstance(event, Segment):
            assert event.words == firm
            firm = ()
    assert tentative > 0


def test_turn_ends_in_a_pause_although_the_session_goes_on(engine: KyutaiEngine) -> None:
    ended: list[TurnEnded] = []

    def chunks() -> Iterator[Samples]:
        yield from pieces(np.concatenate((speech(2), silence(0.7))))
        while not ended:
            yield silence(0)

    for event in engine.live(LiveAudio(chunks()), never):
        if isinstance(event, TurnEnded):
            ended.append(event)
    assert len(ended) == 1
    assert ended[0].commit is None


def test_commit_ends_a_turn_in_the_middle_of_speech(engine: KyutaiEngine) -> None:
    events = listen(engine, speech(2), Commit(7), speech(2, seed=1), turn_silence_s=None)
    kinds = [type(e) for e in turns_and_segments(events)]
    end = kinds.index(TurnEnded)
    assert kinds[0] is TurnStarted
    assert Segment in kinds[:end]
    assert kinds[end + 1] is TurnStarted
    assert Segment in kinds[end + 1 :]
    assert [e.commit for e in events if isinstance(e, TurnEnded)] == [7, None]


def test_commit_with_nothing_to_end_is_answered(engine: KyutaiEngine) -> None:
    events = listen(engine, silence(1), Commit(1), Commit(2), start=5.0)
    assert events[1:-1] == [TurnEnded(6.0, 1), TurnEnded(6.0, 2)]


def test_without_turn_detection_only_a_commit_ends_a_turn(engine: KyutaiEngine) -> None:
    talk = (speech(2), silence(5), speech(2, seed=1), silence(5))
    events = listen(engine, *talk, Commit(3), turn_silence_s=None)
    kinds = [type(e) for e in turns_and_segments(events)]
    assert (kinds.count(TurnStarted), kinds.count(TurnEnded)) == (1, 1)
    assert (kinds[0], kinds[-1]) == (TurnStarted, TurnEnded)


def test_long_pauses_are_not_decoded_and_turns_may_outlast_short_ones(
    engine: KyutaiEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = (speech(2), silence(3), speech(2, seed=1), silence(600))
    events = listen(engine, *talk, turn_silence_s=4.0)
    kinds = [type(e) for e in turns_and_segments(events)]
    assert (kinds.count(TurnStarted), kinds.count(TurnEnded)) == (1, 1)
    last = events[-1]
    assert isinstance(last, Complete)
    assert 4 < last.audio_seconds < 8


def test_usage_is_known_before_each_segment(
    engine: KyutaiEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Device time in steps, and not in seconds, which a busy machine would stretch.
    monkeypatch.setattr(engine.batcher(), "_clock", DeviceClock(count().__next__))
    monkeypatch.setattr(engine.batcher()._live, "_clock", engine.batcher()._clock)
    *events, last = listen(engine, *pieces(TALK))
    assert isinstance(last, Complete)
    usage = [e.decode_seconds for e in events if isinstance(e, UsageDelta)]
    before = [type(a) for a, b in pairwise(events) if isinstance(b, Segment)]
    assert set(before) == {UsageDelta}
    assert 0 < sum(usage) <= last.decode_seconds


def test_stopped_session_raises_cancelled_and_frees_its_row(engine: KyutaiEngine) -> None:
    stop = threading.Event()

    def endless() -> Iterator[Samples]:
        for seed in count():
            yield speech(1, seed)

    events = engine.live(LiveAudio(endless()), stop.is_set)
    assert isinstance([next(events) for _ in range(5)][-1], Partial)
    stop.set()
    with pytest.raises(Cancelled):
        list(events)
    wait_until(lambda: not any(engine.batcher()._streams))


def test_closed_session_frees_its_row(engine: KyutaiEngine) -> None:
    events = engine.live(LiveAudio(pieces(np.tile(TALK, 9))), never)
    assert {type(next(events)) for _ in range(3)} == {Metadata, TurnStarted, Partial}
    events.close()  # type: ignore[attr-defined]
    wait_until(lambda: not any(engine.batcher()._streams))


def test_no_more_audio_is_taken_than_can_be_decoded(engine: KyutaiEngine) -> None:
    streams = engine.batcher()._live.streams
    backlogs: list[float] = []

    def fast() -> Iterator[Samples]:
        for seed in range(16):
            backlogs.append(sum(stream.backlog for stream in streams))
            yield speech(3, seed)

    list(engine.live(LiveAudio(fast()), never))
    assert max(backlogs) < 15


def test_lost_device_ends_the_session(
    engine: KyutaiEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = engine.batcher()

    def chunks() -> Iterator[Samples]:
        yield speech(3)
        monkeypatch.setattr(lost._decoder, "step", lambda: 1 / 0)
        while True:
            yield speech(1)

    with pytest.raises(DeviceLost, match="the decoder failed"):
        list(engine.live(LiveAudio(chunks()), never))
    assert words_of(listen(engine, speech(2)))
    assert engine.batcher() is not lost


# --- Languages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "languages"),
    [
        ("kyutai/stt-2.6b-en-trfs", ("en",)),
        ("kyutai/stt-1b-en_fr-trfs", ("en", "fr")),
        ("/models/stt-1b-en_fr/", ("en", "fr")),
        ("/models/mine", ("en",)),
    ],
)
def test_languages_follow_from_the_name(source: str, languages: tuple[str, ...]) -> None:
    assert languages_of(source) == languages


def test_french_is_transcribed_by_the_model_that_can(tmp_path: Path, tones: Audio) -> None:
    folder = tmp_path / "stt-1b-en_fr-trfs"
    tiny.save(folder, delay=0.5, prefix=0.0)
    engine = KyutaiEngine(str(folder), "cpu", rows=2)
    events = listen(engine, *pieces(TALK), language="fr")
    assert events[0] == Metadata("fr", "stt-1b-en_fr-trfs")
    assert words_of(events)
    first = next(iter(engine.stream(replace(tones, language="fr"), never)))
    assert first == Metadata("fr", "stt-1b-en_fr-trfs")
    candidates = RecognitionOptions(languages=("de", "fr"))
    assert listen(engine, silence(1), options=candidates)[0] == events[0]
    assert listen(engine, silence(1))[0] == Metadata("en", "stt-1b-en_fr-trfs")
    with pytest.raises(UnsupportedLanguage, match="only English and French, not de"):
        listen(engine, language="de")
    engine.close()


def test_what_the_model_cannot_do_is_refused_before_loading() -> None:
    engine = KyutaiEngine("/nonexistent", "cpu")
    with pytest.raises(UnsupportedLanguage, match="only English, not fr"):
        listen(engine, language="fr")
    with pytest.raises(UnsupportedTask):
        listen(engine, options=RecognitionOptions(translate=True))


# --- The gate -------------------------------------------------------------------------------------


def loud(samples: Samples) -> list[bool]:
    gate = SpeechGate()
    return [gate.is_speech(block) for block in pieces(samples, BLOCK_SAMPLES)]


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.01])
def test_speech_is_told_from_steady_noise(noise: float) -> None:
    talk = np.concatenate((silence(1), speech(2), silence(1)))
    talk += np.random.default_rng(9).standard_normal(len(talk)).astype(np.float32) * noise
    found = loud(talk)
    assert not any(found[:24])
    assert 0.7 < np.mean(found[25:75]) < 0.9  # all but the gaps
    assert not any(found[76:])


def test_noise_that_begins_suddenly_is_silence_after_a_while() -> None:
    hum = np.random.default_rng(9).standard_normal(8 * SAMPLE_RATE_HZ).astype(np.float32) * 0.02
    found = loud(np.concatenate((silence(1), hum)))
    assert all(found[26:100])
    assert not any(found[130:])
