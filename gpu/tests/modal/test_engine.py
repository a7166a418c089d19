"""STT_ENGINE=modal: recordings are sent to Modal, and their words come back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from gpu import config
from gpu.kyutai.engine import KyutaiEngine
from gpu.modal.engine import ModalEngine, _merge_parts
from gpu.tests.conftest import WriteWav, lengthen
from gpu.tests.modal.conftest import Calls, Run, messages_of, never, outcome_of, words_of
from gpu.tests.modal.control_plane import ControlPlane
from gpu.types import (
    Audio,
    Cancelled,
    Complete,
    EngineEvent,
    Metadata,
    RecognitionOptions,
    Segment,
    Span,
    UnsupportedLanguage,
    UnsupportedTask,
    UsageDelta,
    Word,
)
from transcodio_site.testing import WAIT_S, Stack, wait_until


def reading(audio: Audio, events: list[Any]) -> threading.Thread:
    """Starts a thread that reads all events of the recording into `events`."""
    thread = threading.Thread(target=lambda: events.extend(ModalEngine().stream(audio, never)))
    thread.start()
    return thread


def test_words_equal_those_of_the_same_model_run_locally(
    deployed: ControlPlane, audio: Audio, model: Path
) -> None:
    here = KyutaiEngine(str(model), "cpu", rows=4)
    expected = words_of(list(here.stream(audio, never)))
    here.close()
    first, *events, last = list(ModalEngine().stream(audio, never))
    assert first == Metadata("en", "stt-tiny")
    assert words_of(events) == expected
    assert isinstance(last, Complete)
    assert last.audio_seconds == pytest.approx(80, abs=0.1)
    assert last.decode_seconds > 0
    assert last.gpu == "L4"


def test_long_recording_is_sent_in_parts_and_comes_back_in_order(
    audio: Audio, new_calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu.modal.engine.MAX_PART_S", 29.0)
    events = list(ModalEngine().stream(audio, never))
    assert len(new_calls()) == 3
    assert [type(e) for e in events].count(Metadata) == 1
    assert [type(e) for e in events].count(Complete) == 1
    times = [t for word in words_of(events) for t in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] < 30 < 62 < times[-1]
    last = events[-1]
    assert isinstance(last, Complete)
    assert last.audio_seconds == pytest.approx(80, abs=0.1)
    usage = sum((e for e in events if isinstance(e, UsageDelta)), UsageDelta(0.0))
    assert usage.gpu == "L4"
    assert 0 < usage.decode_seconds <= last.decode_seconds + 1e-9


def test_usage_is_known_when_a_recording_is_cancelled(deployed: ControlPlane, audio: Audio) -> None:
    stop = threading.Event()
    stream = ModalEngine().stream(audio, stop.is_set)
    usage = next(event for event in stream if isinstance(event, UsageDelta))
    stop.set()
    with pytest.raises(Cancelled):
        list(stream)
    assert usage.gpu == "L4"
    assert usage.decode_seconds > 0


def test_unsupported_language_is_refused_without_a_call(audio: Audio, new_calls: Calls) -> None:
    with pytest.raises(UnsupportedLanguage):
        next(ModalEngine().stream(Audio(audio.path, 1, (), "de"), never))
    candidates = RecognitionOptions(languages=("de", "fr"))
    with pytest.raises(UnsupportedLanguage, match="de, fr"):
        next(ModalEngine().stream(Audio(audio.path, 1, (), options=candidates), never))
    assert new_calls() == []


def test_language_is_chosen_from_the_candidates(
    plane: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def events_of_parts(audio: Audio, stopped: object) -> Iterator[EngineEvent]:
        yield Metadata(audio.language or "", "stt-1b-en_fr")

    monkeypatch.setattr(config, "STT_MODEL_ID", "kyutai/stt-1b-en_fr")
    monkeypatch.setattr(ModalEngine, "_events_of_parts", staticmethod(events_of_parts))
    candidates = RecognitionOptions(languages=("fr", "de"))
    first, *_ = ModalEngine().stream(replace(audio, options=candidates), never)
    assert first == Metadata("fr", "stt-1b-en_fr")


def test_translation_is_refused_without_a_call(audio: Audio, new_calls: Calls) -> None:
    options = RecognitionOptions(translate=True)
    with pytest.raises(UnsupportedTask):
        next(ModalEngine().stream(replace(audio, options=options), never))
    assert new_calls() == []


def test_cancellation_ends_one_call_and_leaves_its_neighbor_running(
    deployed: ControlPlane, audio: Audio, new_calls: Calls
) -> None:
    stop = threading.Event()
    other: list[Any] = []
    with deployed.hold():
        neighbor = reading(audio, other)
        stream = ModalEngine().stream(audio, stop.is_set)
        next(stream)
        wait_until(lambda: [call.started for call in new_calls()] == [True, True])
        stop.set()
        with pytest.raises(Cancelled):
            list(stream)
        wait_until(lambda: "cancelled" in map(outcome_of, new_calls()))
    neighbor.join(WAIT_S)
    assert isinstance(other[-1], Complete)
    assert sorted(map(outcome_of, new_calls())) == ["cancelled", "complete"]


def test_reader_disconnect_cancels_modal_call(
    deployed: ControlPlane, audio: Audio, new_calls: Calls
) -> None:
    with deployed.hold():
        stream = ModalEngine().stream(audio, never)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        (call,) = new_calls()
        wait_until(lambda: call.output is not None)
    assert outcome_of(call) == "cancelled"


def test_call_that_waits_for_a_container_can_be_cancelled(
    deployed: ControlPlane, audio: Audio, new_calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.kill_containers()
    monkeypatch.setattr(deployed, "starts_containers", False)
    stop = threading.Event()

    def read() -> None:
        with pytest.raises(Cancelled):
            list(ModalEngine().stream(audio, stop.is_set))

    with deployed.hold():
        reader = threading.Thread(target=read)
        reader.start()
        wait_until(new_calls)
        stop.set()
        reader.join(WAIT_S)
        assert not reader.is_alive()
        deployed.start_containers()
        (call,) = new_calls()
        wait_until(lambda: call.output is not None)
    assert outcome_of(call) == "cancelled"
    assert len(messages_of(call)) < 5  # the whole recording has about twenty


@pytest.mark.parametrize(
    ("in_flight", "expected"), [pytest.param(4, 3, marks=pytest.mark.slow), (2, 2)]
)
def test_parts_are_in_flight_together_up_to_a_limit(
    deployed: ControlPlane,
    audio: Audio,
    new_calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    in_flight: int,
    expected: int,
) -> None:
    monkeypatch.setattr("gpu.modal.engine.MAX_PART_S", 29.0)
    monkeypatch.setattr("gpu.modal.engine.MAX_PARTS_IN_FLIGHT", in_flight)
    events: list[Any] = []
    with deployed.hold():
        reader = reading(audio, events)
        wait_until(lambda: sum(call.started for call in new_calls()) == expected)
    reader.join(WAIT_S)
    assert isinstance(events[-1], Complete)
    assert len(new_calls()) == 3
    assert max(call.open_before for call in new_calls()) == expected - 1


def test_merged_parts_are_in_order_and_count_a_shared_cold_start_once() -> None:
    def of(start: float, end: float) -> Segment:
        return Segment((Word(start, end, "so"),))

    parts: list[EngineEvent] = [
        *(Metadata("en", "tiny"), UsageDelta(1.0, "L4", 0.5, 40.0), of(29.0, 29.9)),
        Complete(30.0, 1.0, 0.5, 40.0, "L4"),
        *(Metadata("en", "tiny"), UsageDelta(2.0, "L4", 0.5, 39.0), of(29.6, 30.2)),
        Complete(30.0, 2.0, 0.5, 39.0, "L4"),
    ]
    merged = list(_merge_parts(iter(parts)))
    assert [e.words[0] for e in merged if isinstance(e, Segment)] == [
        Word(29.0, 29.9, "so"),
        Word(29.9, 30.2, "so"),
    ]
    assert sum((e for e in merged if isinstance(e, UsageDelta)), UsageDelta(0.0)) == UsageDelta(
        3.0, "L4", 1.0, 40.0
    )
    assert merged[-1] == Complete(60.0, 3.0, 1.0, 40.0, "L4")
    assert len(merged) == 6


@pytest.mark.slow
def test_three_hours_are_sent_in_bounded_memory(
    deployed: ControlPlane, write_wav: WriteWav, audio: Audio
) -> None:
    list(ModalEngine().stream(audio, never))  # what is allocated once is allocated now
    path = write_wav(np.zeros(0, np.int16))
    lengthen(path, 3 * 3600)
    spans = tuple(Span(start, start + 3.0) for start in range(0, 3 * 3600, 120))
    process, sizes = psutil.Process(), []
    before, ends, meter = process.memory_info().rss, [0.0], None
    for event in ModalEngine().stream(Audio(path, 3 * 3600.0, spans), never):
        sizes.append(process.memory_info().rss - before)
        if isinstance(event, Segment):
            ends.append(event.end)
        meter = event
    assert max(sizes) < 200 << 20  # four parts of 12 MB as samples; all of it would be 518
    assert ends == sorted(ends)
    assert ends[-1] > 3 * 3600 - 240
    assert isinstance(meter, Complete)
    assert meter.audio_seconds == pytest.approx(270)


@pytest.mark.slow
def test_running_call_survives_a_new_deployment(
    deployed: ControlPlane, cli: Run, audio: Audio, new_calls: Calls
) -> None:
    with deployed.hold():
        stream = ModalEngine().stream(audio, never)
        events = [next(stream)]
        assert cli("deploy", "gpu/app.py").returncode == 0
        (call,) = new_calls()
        assert call.output is None
    events += list(stream)
    assert isinstance(events[-1], Complete)
    assert isinstance(list(ModalEngine().stream(audio.after(80), never))[-1], Complete)


@pytest.mark.slow
def test_demo_command_transcribes_on_modal(
    tmp_path: Path, short: Path, new_calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STT_ENGINE", "modal")
    answer = Stack(tmp_path).manage("demo", str(short))
    assert answer.returncode == 0, answer.stderr
    assert len(new_calls()) == 1
    for suffix in ("txt", "srt", "vtt", "json"):
        assert (tmp_path / "demo" / f"short.{suffix}").stat().st_size > 10


@pytest.mark.slow
def test_engine_check_command_reports_modal_and_what_is_wrong(
    deployed: ControlPlane, tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STT_ENGINE", "modal")
    answer = Stack(tmp_path).manage("engine_check", str(short))
    assert answer.returncode == 0, answer.stderr
    assert "modal responded with stt-tiny after" in answer.stdout
    assert "6.0 s of audio in" in answer.stdout
    assert " USD" in answer.stdout
    monkeypatch.setenv("MODAL_APP", "nowhere")
    answer = Stack(tmp_path).manage("engine_check")
    assert answer.returncode == 1
    assert "modal deploy gpu/app.py`" in answer.stderr
    assert "Traceback" not in answer.stderr
