"""STT_ENGINE=modal: live speech is sent to a container while its words come back."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu import config
from gpu.kyutai.engine import KyutaiEngine
from gpu.modal.audio import MAX_ITEM_BYTES, Inbox, Outbox, _as_pcm, _as_samples
from gpu.modal.engine import ModalEngine
from gpu.modal.live import LiveCall
from gpu.serving import with_signs
from gpu.tests.kyutai.test_live import (
    TALK,
    Samples,
    pieces,
    silence,
    speech,
    turns_and_segments,
    words_of,
)
from gpu.tests.modal.conftest import Calls, Run, messages_of, never, outcome_of
from gpu.tests.modal.control_plane import ControlPlane
from gpu.types import (
    Audio,
    Cancelled,
    Commit,
    Complete,
    EngineError,
    LiveAudio,
    LiveEvent,
    Metadata,
    NotDeployed,
    Partial,
    RecognitionOptions,
    TurnEnded,
    Unreachable,
    UnsupportedLanguage,
    UsageDelta,
)
from transcodio_site.testing import wait_until


def listen(*audio: Samples | Commit, **more: Any) -> list[LiveEvent]:
    return list(ModalEngine().live(LiveAudio(iter(audio), **more), never))


def endless() -> Iterator[Samples]:
    """Speech that arrives as fast as it is read."""
    for seed in count():
        yield from pieces(speech(1, seed))


@pytest.fixture(autouse=True)
def little_audio_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audio that was read before the container started must be decoded before the test can end."""
    monkeypatch.setattr("gpu.modal.live.MAX_UNSENT_S", 5.0)


@pytest.fixture
def no_audio_left(deployed: ControlPlane) -> Iterator[None]:
    """After the test, the partitions of its calls have been deleted."""
    yield
    wait_until(lambda: not deployed.partitions)


@pytest.mark.usefixtures("no_audio_left")
def test_words_equal_those_of_the_same_model_run_locally(
    deployed: ControlPlane, model: Path
) -> None:
    here = KyutaiEngine(str(model), "cpu", rows=4)
    talk: list[Samples | Commit] = [*pieces(TALK), Commit(4), speech(2, seed=5)]
    exact = [chunk if isinstance(chunk, Commit) else as_sent(chunk) for chunk in talk]
    expected = list(here.live(LiveAudio(iter(exact), start=100.0), never))
    here.close()
    first, *events, last = listen(*talk, start=100.0)
    assert first == Metadata("en", "stt-tiny")
    assert turns_and_segments(events) == turns_and_segments(expected)
    assert firm_partials(events) == firm_partials(expected)
    assert any(e.tentative for e in events if isinstance(e, Partial))
    assert [e.commit for e in events if isinstance(e, TurnEnded)] == [None, None, 4, None]
    assert isinstance(last, Complete)
    assert isinstance(expected[-1], Complete)
    assert last.audio_seconds == expected[-1].audio_seconds
    assert last.gpu == "L4"
    usage = sum((e for e in events if isinstance(e, UsageDelta)), UsageDelta(0.0))
    assert 0 < usage.decode_seconds <= last.decode_seconds


def firm_partials(events: list[LiveEvent]) -> list[Partial]:
    """Only firm words: which tentative ones come between them depends on timing."""
    return [e for e in events if isinstance(e, Partial) and not e.tentative]


def as_sent(samples: Samples) -> Samples:
    return _as_samples(_as_pcm(samples))


@pytest.mark.usefixtures("no_audio_left")
def test_words_come_while_audio_is_still_sent(deployed: ControlPlane, new_calls: Calls) -> None:
    words: list[Partial] = []

    def chunks() -> Iterator[Samples]:
        for chunk in endless():
            if words:
                return
            yield chunk

    events = []
    for event in ModalEngine().live(LiveAudio(chunks()), never):
        events.append(event)
        if isinstance(event, Partial):
            words.append(event)
    assert words_of(events)
    assert isinstance(events[-1], Complete)
    (call,) = new_calls()
    assert outcome_of(call) == "complete"


@pytest.mark.usefixtures("no_audio_left")
def test_cancelled_session_ends_in_its_container(deployed: ControlPlane, new_calls: Calls) -> None:
    stop = threading.Event()
    events = ModalEngine().live(LiveAudio(endless()), stop.is_set)
    usage = next(event for event in events if isinstance(event, UsageDelta))
    stop.set()
    with pytest.raises(Cancelled):
        list(events)
    (call,) = new_calls()
    wait_until(lambda: call.output is not None)
    assert outcome_of(call) == "cancelled"
    assert usage.gpu == "L4"


@pytest.mark.usefixtures("no_audio_left")
def test_closed_session_ends_in_its_container(deployed: ControlPlane, new_calls: Calls) -> None:
    events = ModalEngine().live(LiveAudio(endless()), never)
    next(events)
    events.close()  # type: ignore[attr-defined]
    (call,) = new_calls()
    wait_until(lambda: call.output is not None)
    assert outcome_of(call) == "cancelled"


@pytest.mark.slow
def test_session_shares_the_container_of_a_recording(
    deployed: ControlPlane, audio: Audio, new_calls: Calls
) -> None:
    recording = ModalEngine().stream(audio, never)
    next(recording)
    containers = set(deployed.containers)
    assert words_of(listen(*pieces(TALK)))
    assert isinstance(list(recording)[-1], Complete)
    assert set(deployed.containers) == containers
    assert sorted(map(outcome_of, new_calls())) == ["complete", "complete"]


@pytest.mark.usefixtures("no_audio_left")
def test_lost_container_is_reported_as_unreachable(
    deployed: ControlPlane, new_calls: Calls
) -> None:
    """It is not retried here: audio that was sent may not have been received."""
    deployed.lose_after = 3
    with pytest.raises(Unreachable):
        list(ModalEngine().live(LiveAudio(endless()), never))
    assert len(new_calls()) == 1


@pytest.mark.usefixtures("no_audio_left")
def test_restarted_container_is_reported_as_unreachable(deployed: ControlPlane) -> None:
    """It lacks the audio that the first container took from the queue."""
    deployed.preempt_after = 3
    with pytest.raises(Unreachable):
        list(ModalEngine().live(LiveAudio(endless()), never))


def test_lost_audio_is_reported_as_unreachable(
    deployed: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployed, "lose_item", True)
    with pytest.raises(Unreachable, match="of the audio was lost"):
        list(ModalEngine().live(LiveAudio(endless()), never))


def test_audio_that_cannot_be_sent_ends_the_session(
    deployed: ControlPlane, new_calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployed, "refuse_items", True)
    with pytest.raises(EngineError, match="the queue is gone"):
        list(ModalEngine().live(LiveAudio(endless()), never))
    (call,) = new_calls()
    wait_until(lambda: outcome_of(call) == "cancelled")


def test_container_ends_a_session_without_a_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu.modal.audio.ABANDONED_AFTER_S", 0.3)
    chunks = Inbox("nobody").chunks()
    assert len(next(chunks)) == 0  # type: ignore[arg-type]
    with pytest.raises(Unreachable, match="no sign of a caller"):
        list(chunks)


@pytest.mark.usefixtures("no_audio_left")
def test_silent_caller_and_container_give_signs(
    deployed: ControlPlane, new_calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu.modal.audio.SIGN_INTERVAL_S", 0.2)
    monkeypatch.setattr(config, "MODAL_SILENCE_TIMEOUT_S", 10.0)
    probes: list[int] = []
    monkeypatch.setattr("gpu.modal.calls.probe", lambda: probes.append(1))

    def chunks() -> Iterator[Samples]:
        yield silence(1)
        wait_until(lambda: {"alive"} <= {m["type"] for c in new_calls() for m in messages_of(c)})

    assert isinstance(list(ModalEngine().live(LiveAudio(chunks()), never))[-1], Complete)


async def test_signs_come_between_messages_and_end_with_them() -> None:
    ready = asyncio.Event()

    async def messages() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "first"}
        await ready.wait()
        yield {"type": "second"}

    found = []
    async for message in with_signs(messages(), 0.01):  # type: ignore[arg-type]
        found.append(message["type"])
        if found[-1] == "alive":
            ready.set()
    assert (found[0], found[1], found[-1]) == ("first", "alive", "second")


@pytest.mark.slow
def test_long_session_goes_on_in_another_call(
    deployed: ControlPlane, new_calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first one would exceed MODAL_TIMEOUT."""
    expected = listen(*pieces(TALK))
    before = len(new_calls())
    ended: list[TurnEnded] = []

    def age(call: LiveCall) -> float:
        return 0.8 if ended and call._start == 0.0 else 0.0

    monkeypatch.setattr(LiveCall, "age", property(age))

    def chunks() -> Iterator[Samples]:
        first = int(5.6 * 24_000)
        yield from pieces(TALK[:first])
        while not ended:
            yield silence(0)
        yield from pieces(TALK[first:])

    events = []
    for event in ModalEngine().live(LiveAudio(chunks()), never):
        events.append(event)
        if isinstance(event, TurnEnded):
            ended.append(event)
    assert len(new_calls()) - before == 2
    assert [type(e) for e in events].count(Metadata) == 1
    assert isinstance(events[-1], Complete)
    assert isinstance(expected[-1], Complete)
    assert events[-1].audio_seconds == pytest.approx(expected[-1].audio_seconds, abs=0.5)
    starts = [w.start for w in words_of(events)]
    assert starts == sorted(starts)
    assert starts[-1] > 5


def test_missing_deployment_and_unsupported_language_are_reported(
    plane: ControlPlane, new_calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnsupportedLanguage):
        listen(language="de")
    assert new_calls() == []
    monkeypatch.setattr(config, "MODAL_APP", "nowhere")
    with pytest.raises(NotDeployed, match=r"modal deploy gpu/app\.py"):
        list(ModalEngine().live(LiveAudio(endless()), never))


def test_candidate_languages_reach_the_container(
    plane: ControlPlane, cli: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several candidates, the session gets the one that the checkpoint supports."""
    bilingual = tmp_path / "stt-1b-en_fr"
    shutil.copytree(model, bilingual)
    name = {"MODAL_APP": "bilingual", "STT_MODEL_ID": str(bilingual)}
    assert cli("deploy", "gpu/app.py", **name).returncode == 0
    for variable, value in name.items():
        monkeypatch.setattr(config, variable, value)
    options = RecognitionOptions(languages=("de", "fr"))
    first, *_ = listen(*pieces(speech(1)), options=options)
    assert first == Metadata("fr", "stt-1b-en_fr")


# --- What is sent ---------------------------------------------------------------------------------


def test_waiting_audio_is_joined_and_divided() -> None:
    outbox = Outbox(lambda error: None)
    for _ in range(12):
        outbox.put(silence(1))
    outbox.put(Commit(3))
    outbox.put(np.array([-1.0, 1.0, 0.25], np.float32))
    outbox.put(None)
    assert outbox.seconds == pytest.approx(12, abs=0.01)
    first, second = outbox._next(), outbox._next()
    assert first
    assert second
    assert [number for number, _ in first + second] == [0, 1, 2, 3, 4]
    audio, rest, commit, last, end = (content for _, content in first + second)
    assert (len(audio), len(rest)) == (MAX_ITEM_BYTES, 2 * 2 * 24_000)  # type: ignore[arg-type]
    assert (commit, end) == (3, None)
    assert np.frombuffer(last, "<i2").tolist() == [-32768, 32767, 8192]  # type: ignore[arg-type]
    outbox.close()
    assert outbox._next() is None
