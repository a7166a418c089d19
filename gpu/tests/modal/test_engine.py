"""STT_ENGINE=modal: a recording goes up and comes back."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from gpu import modal_engine
from gpu.kyutai_engine import KyutaiEngine
from gpu.modal_engine import ModalEngine
from gpu.tests.conftest import WriteWav, lengthen
from gpu.tests.modal.conftest import Run, ended_early, never, said, words_of
from gpu.tests.modal.control_plane import ControlPlane
from gpu.types import (
    Audio,
    Cancelled,
    Complete,
    Metadata,
    Segment,
    Span,
    Spent,
    UnsupportedLanguage,
)
from transcodio_site.testing import Stack, wait_until


def test_words_are_those_of_the_same_model_here(
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


def test_a_long_recording_goes_up_in_parts_and_comes_back_in_order(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modal_engine, "PART", 29.0)
    before = len(deployed.calls)
    events = list(ModalEngine().stream(audio, never))
    assert len(deployed.calls) - before == 3
    assert [type(e) for e in events].count(Metadata) == 1
    assert [type(e) for e in events].count(Complete) == 1
    times = [t for word in words_of(events) for t in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] < 30 < 62 < times[-1]
    last = events[-1]
    assert isinstance(last, Complete)
    assert last.audio_seconds == pytest.approx(80, abs=0.1)
    spent = sum((e for e in events if isinstance(e, Spent)), Spent(0.0))
    assert spent.gpu == "L4"
    assert 0 < spent.decode_seconds <= last.decode_seconds + 1e-9


def test_what_was_used_is_known_when_it_is_cancelled(deployed: ControlPlane, audio: Audio) -> None:
    stop = threading.Event()
    stream = ModalEngine().stream(audio, stop.is_set)
    spent = next(event for event in stream if isinstance(event, Spent))
    stop.set()
    with pytest.raises(Cancelled):
        list(stream)
    assert spent.gpu == "L4"
    assert spent.decode_seconds > 0


def test_another_language_is_refused_here(audio: Audio) -> None:
    with pytest.raises(UnsupportedLanguage):
        next(ModalEngine().stream(Audio(audio.path, 1, (), "de"), never))


def test_cancelling_ends_one_call_and_no_other(deployed: ControlPlane, audio: Audio) -> None:
    engine, stop = ModalEngine(), threading.Event()
    before = len(ended_early(deployed))
    other: list[Any] = []
    neighbour = threading.Thread(target=lambda: other.extend(engine.stream(audio, never)))
    neighbour.start()
    stream = engine.stream(audio, stop.is_set)
    next(stream)
    stop.set()
    with pytest.raises(Cancelled):
        list(stream)
    began = time.monotonic()
    wait_until(lambda: len(ended_early(deployed)) > before, 20)
    assert time.monotonic() - began < 5
    neighbour.join(60)
    assert isinstance(other[-1], Complete)
    assert len(ended_early(deployed)) == before + 1


def test_a_reader_that_goes_away_stops_the_spending(deployed: ControlPlane, audio: Audio) -> None:
    stream = ModalEngine().stream(audio, never)
    next(stream)
    before = len(ended_early(deployed))
    stream.close()  # type: ignore[attr-defined]
    wait_until(lambda: len(ended_early(deployed)) == before + 1, 20)


def test_a_call_that_has_not_begun_is_ended_too(deployed: ControlPlane, audio: Audio) -> None:
    deployed.kill_containers()
    calls, stop = len(deployed.calls), threading.Event()

    def read() -> None:
        with pytest.raises(Cancelled):
            list(ModalEngine().stream(audio, stop.is_set))

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: len(deployed.calls) > calls)
    stop.set()
    reader.join(20)
    assert not reader.is_alive()
    call = list(deployed.calls.values())[calls]
    wait_until(lambda: call.output is not None, 60)
    assert [item["type"] for item in said(call)][-1] == "error"
    assert len(said(call)) < 5  # a minute and a half would be twenty


def test_parts_are_under_way_together(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modal_engine, "PART", 29.0)
    for in_flight, most in ((4, 3), (2, 2)):
        monkeypatch.setattr(modal_engine, "IN_FLIGHT", in_flight)
        before = len(deployed.calls)
        list(ModalEngine().stream(audio, never))
        calls = list(deployed.calls.values())[before:]
        assert len(calls) == 3
        at_once = [sum(o.began <= call.began < o.ended for o in calls) for call in calls]
        assert max(at_once) == most


def test_three_hours_go_up_in_bounded_memory(
    deployed: ControlPlane, write_wav: WriteWav, audio: Audio
) -> None:
    list(ModalEngine().stream(audio, never))  # whatever is allocated once is there now
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


def test_a_new_deployment_lets_running_calls_end(
    deployed: ControlPlane, cli: Run, audio: Audio
) -> None:
    stream = ModalEngine().stream(audio, never)
    events = [next(stream)]
    assert cli("deploy", "gpu/app.py").returncode == 0
    events += list(stream)
    assert isinstance(events[-1], Complete)
    assert isinstance(list(ModalEngine().stream(audio.after(80), never))[-1], Complete)


def test_a_recording_goes_through_the_whole_service(
    deployed: ControlPlane, tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STT_ENGINE", "modal")
    stack = Stack(tmp_path)
    before = len(deployed.calls)
    answer = stack.manage("demo", str(short))
    assert answer.returncode == 0, answer.stderr
    assert len(deployed.calls) == before + 1
    for suffix in ("txt", "srt", "vtt", "json"):
        assert (tmp_path / "demo" / f"short.{suffix}").stat().st_size > 10


def test_the_engine_is_checked_from_the_command_line(
    deployed: ControlPlane, tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STT_ENGINE", "modal")
    answer = Stack(tmp_path).manage("engine_check", str(short))
    assert answer.returncode == 0, answer.stderr
    assert "modal answers with stt-tiny after" in answer.stdout
    assert "6.0 s of audio in" in answer.stdout
    assert " USD" in answer.stdout
    monkeypatch.setenv("MODAL_APP", "nowhere")
    answer = Stack(tmp_path).manage("engine_check")
    assert answer.returncode == 1
    assert "deploy it with `modal deploy gpu/app.py`" in answer.stderr
    assert "Traceback" not in answer.stderr
    answer = Stack(tmp_path).manage("engine_check", __file__)
    assert answer.returncode == 1
    assert f"{__file__}: no recording" in answer.stderr
    assert "STT_ENGINE" not in answer.stderr  # it is not to blame
