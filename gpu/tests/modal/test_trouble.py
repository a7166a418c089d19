"""STT_ENGINE=modal when something is wrong, and the bill."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import ClientPayloadError
from grpclib.exceptions import StreamTerminatedError
from modal_proto import api_pb2 as api

from gpu import cancellation, config, connectivity, modal_billing, modal_engine
from gpu.connectivity import Breaker
from gpu.modal_engine import ModalEngine
from gpu.tests.modal.conftest import never, words_of
from gpu.tests.modal.control_plane import Call, ControlPlane
from gpu.types import (
    Audio,
    BadAudio,
    Complete,
    DeadlineExceeded,
    EngineError,
    EngineEvent,
    EngineUnavailable,
    Metadata,
    NotAuthenticated,
    NotDeployed,
    Segment,
    Spent,
    Unreachable,
    UnsupportedLanguage,
    Word,
)
from transcodio_site.testing import ROOT


def test_an_app_that_is_not_deployed_is_named_with_the_remedy(
    plane: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "MODAL_APP", "nowhere")
    with pytest.raises(NotDeployed, match=r"modal deploy gpu/app\.py"):
        list(ModalEngine().stream(audio, never))


def test_a_wrong_token_is_named_with_the_remedy(plane: ControlPlane, audio: Audio) -> None:
    code = (
        "import sys; from pathlib import Path; from gpu.client import ModalEngine\n"
        "from gpu.types import Audio, NotAuthenticated, Span\n"
        "audio = Audio(Path(sys.argv[1]), 10.0, (Span(0, 9),))\n"
        "try: list(ModalEngine().stream(audio, lambda: False))\n"
        "except NotAuthenticated as error: print(error)"
    )
    environment = os.environ | plane.client_environment(("ak-wrong", "as-wrong"))
    command = [sys.executable, "-c", code, str(audio.path)]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "modal token new" in answer.stdout, answer.stderr
    assert NotAuthenticated.code == "engine_not_authenticated"


def test_what_breaks_off_goes_on_after_the_last_segment_that_came(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modal_engine, "BACKOFF", 0.01)
    before = len(deployed.calls)
    deployed.lose_after = 5  # metadata, and two segments with what they have used
    events = list(ModalEngine().stream(audio, never))
    first, again = list(deployed.calls.values())[before:]
    assert len(first.chunks) == 5
    # The loss may be heard of before the segments are; then all of it is sent again.
    heard = [event for event in events if isinstance(event, Segment)][:2]
    args, _ = pickle.loads(arguments(deployed, again))  # noqa: S301 - our own
    assert args[1][0][0] == 0
    ends = [0.0, *(segment.end for segment in heard)]
    left = [sum(s.end - s.start for s in audio.after(end).spans) for end in ends]
    assert sum(b - a for a, b in args[1]) in [pytest.approx(seconds) for seconds in left]
    times = [t for word in words_of(events) for t in (word.start, word.end)]
    assert times == sorted(times)
    assert len({(w.start, w.end, w.text) for w in words_of(events)}) == len(words_of(events))
    meter = events[-1]
    assert isinstance(meter, Complete)
    spent = sum(event.decode_seconds for event in events if isinstance(event, Spent))
    assert meter.decode_seconds >= spent > 0  # with what the lost call had used
    assert meter.audio_seconds == pytest.approx(sum(s.end - s.start for s in audio.spans))


def test_what_another_machine_begins_anew_is_not_mixed_with_what_was_heard(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Modal does it when it takes a machine away: under the same call."""
    monkeypatch.setattr(modal_engine, "BACKOFF", 0.01)
    before = len(deployed.calls)
    deployed.preempt_after = 5
    events = list(ModalEngine().stream(audio, never))
    assert len(deployed.calls) == before + 2
    times = [t for word in words_of(events) for t in (word.start, word.end)]
    assert times == sorted(times)
    assert len({(w.start, w.end, w.text) for w in words_of(events)}) == len(words_of(events))
    assert times[-1] > 62  # in the last stretch
    meter = events[-1]
    assert isinstance(meter, Complete)
    spent = sum((e for e in events if isinstance(e, Spent)), Spent(0.0))
    assert meter.load_seconds >= spent.load_seconds
    assert meter.decode_seconds >= spent.decode_seconds - 1e-6


def test_one_question_that_nobody_answers_ends_no_recording(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modal_engine, "PROBE", 0.2)
    monkeypatch.setattr(modal_engine, "AGAIN", 0.2)
    deployed.kill_containers()  # so that there is time for questions
    asked: list[int] = []

    def unlucky() -> None:
        asked.append(1)
        if len(asked) in (2, 3):
            raise Unreachable("a slow name server")

    monkeypatch.setattr(modal_engine, "probe", unlucky)
    assert isinstance(list(ModalEngine().stream(audio, never))[-1], Complete)
    assert len(asked) > 3


def test_audio_that_cannot_be_read_here_is_not_modal_s_fault(
    deployed: ControlPlane, audio: Audio
) -> None:
    before = len(deployed.calls)
    with pytest.raises(EngineError, match="the audio cannot be read") as caught:
        list(ModalEngine().stream(replace(audio, path=audio.path.parent / "gone.wav"), never))
    assert type(caught.value) is EngineError
    assert len(deployed.calls) == before


def test_the_breaker_closes_with_the_first_word(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ModalEngine()
    monkeypatch.setattr(connectivity, "PAUSE", 0.0)
    for _ in range(connectivity.FAILURES):
        engine._breaker.failed(Unreachable("gone"))
    monkeypatch.setattr(connectivity, "PAUSE", 30.0)
    trial = engine.stream(audio, never)
    next(trial)
    engine._breaker.check()
    trial.close()  # type: ignore[attr-defined]


def test_words_are_in_order_where_parts_meet_and_a_wait_is_told_once() -> None:
    def of(start: float, end: float) -> Segment:
        return Segment((Word(start, end, "so"),))

    parts: list[EngineEvent] = [
        *(Metadata("en", "tiny"), Spent(1.0, "L4", 0.5, 40.0), of(29.0, 29.9)),
        Complete(30.0, 1.0, 0.5, 40.0, "L4"),
        *(Metadata("en", "tiny"), Spent(2.0, "L4", 0.5, 39.0), of(29.6, 30.2)),
        Complete(30.0, 2.0, 0.5, 39.0, "L4"),
    ]
    merged = list(modal_engine._merged(iter(parts)))
    assert [e.words[0] for e in merged if isinstance(e, Segment)] == [
        Word(29.0, 29.9, "so"),
        Word(29.9, 30.2, "so"),
    ]
    assert sum((e for e in merged if isinstance(e, Spent)), Spent(0.0)) == Spent(
        3.0, "L4", 1.0, 40.0
    )
    assert merged[-1] == Complete(60.0, 3.0, 1.0, 40.0, "L4")
    assert len(merged) == 6


def test_a_call_that_broke_off_is_ended_where_it_runs(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modal_engine, "BACKOFF", 0.01)
    ended: list[str] = []
    monkeypatch.setattr(cancellation, "hand_in", ended.append)
    part = modal_engine.Part(audio)
    part._ticket = "lost"
    next(part._heard_events())
    assert ended == ["lost"]
    assert part._ticket != "lost"
    part.cancel()


@pytest.mark.parametrize(
    "error", [StreamTerminatedError("reset"), ClientPayloadError("cut off"), ConnectionError("x")]
)
def test_a_connection_that_breaks_may_be_tried_again(error: Exception) -> None:
    assert isinstance(modal_engine.translated(error), modal_engine.TRANSIENT)


TIMEOUT = api.GenericResult.GENERIC_STATUS_TIMEOUT
FAILURE = api.GenericResult.GENERIC_STATUS_FAILURE


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (TIMEOUT, "", DeadlineExceeded),
        (FAILURE, "RuntimeError: the method raised", EngineError),
        (FAILURE, "OutOfMemoryError: CUDA out of memory", None),
    ],
)
def test_what_ends_a_call_is_told_by_its_kind(
    deployed: ControlPlane,
    audio: Audio,
    monkeypatch: pytest.MonkeyPatch,
    status: Any,
    message: str,
    kind: type[EngineError] | None,
) -> None:
    """After its first items. Memory that is full may have room at the second try."""
    monkeypatch.setattr(modal_engine, "BACKOFF", 0.01)
    monkeypatch.setattr(deployed, "loss", api.GenericResult(status=status, exception=message))
    before = len(deployed.calls)
    deployed.lose_after = 3
    events: list[Any] = []
    with pytest.raises(kind) if kind else nullcontext() as caught:
        events.extend(ModalEngine().stream(audio, never))
    if caught:
        assert type(caught.value) is kind
        assert message in str(caught.value)
        assert len(deployed.calls) == before + 1
    else:
        assert isinstance(events[-1], Complete)
        assert len(deployed.calls) == before + 2


def arguments(plane: ControlPlane, call: Call) -> bytes:
    """What a call was given, pickled."""
    given = call.input.input
    inline = given.WhichOneof("args_oneof") == "args"
    return given.args if inline else plane.blobs[given.args_blob_id]


def test_what_the_container_refuses_is_told_by_its_kind(remote: Any, noise: bytes) -> None:
    (item,) = list(remote.transcribe_stream.remote_gen(noise, language="de"))
    with pytest.raises(UnsupportedLanguage, match="English only"):
        modal_engine.event_of(json.loads(item), 0.0)


def test_a_stream_that_stalls_is_given_up(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = ModalEngine().stream(audio, never)
    next(stream)
    monkeypatch.setattr(config, "MODAL_SILENCE", 1.0)
    for container in deployed.containers.values():
        container.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="said nothing for 1 s"):
        list(stream)
    assert time.monotonic() - began < 15
    deployed.kill_containers()


def test_a_recording_that_takes_too_long_is_given_up(deployed: ControlPlane, audio: Audio) -> None:
    hurried = replace(audio, duration=0.5 - config.MODAL_COLD_START)  # half a second in all
    with pytest.raises(DeadlineExceeded, match="the deadline has passed"):
        list(ModalEngine().stream(hurried, never))


def test_bad_audio_is_told_by_its_kind() -> None:
    message = {"type": "error", "code": "bad_audio", "detail": "…", "reason": "empty"}
    with pytest.raises(BadAudio, match="empty"):
        modal_engine.event_of(message, 0.0)


# --- The bill -------------------------------------------------------------------------------------


def test_the_bill_is_read_by_day(plane: ControlPlane) -> None:
    days = [datetime(2026, 5, day) for day in (3, 4, 5, 6)]
    plane.bill = [("transcodio-app", day, f"0.{day.day:02}0001") for day in days]
    plane.bill += [("transcodio-app", days[1], "1"), ("another-app", days[1], "50")]
    assert modal_billing.cost_by_day(date(2026, 5, 4), date(2026, 5, 5)) == {
        date(2026, 5, 4): Decimal("1.040001"),
        date(2026, 5, 5): Decimal("0.050001"),
    }


def test_a_bill_that_cannot_be_read_says_what_to_do(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODAL_SERVER_URL", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="check the network"):
        modal_billing.cost_by_day(date(2026, 5, 4), date(2026, 5, 5))


# --- At the end, as the client takes its time to come back to a server that was away --------------


def test_a_server_that_dies_in_mid_stream_is_noticed_in_seconds(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modal_engine, "PROBE", 0.5)
    stream = ModalEngine().stream(audio, never)
    next(stream)
    deployed.stop()
    try:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            list(stream)
        assert time.monotonic() - began < 20
    finally:
        deployed.start()
        deployed.kill_containers()


def test_nobody_there_is_decided_in_seconds_and_then_not_tried_again(
    deployed: ControlPlane, audio: Audio
) -> None:
    engine = ModalEngine()
    deployed.stop()
    try:
        for _ in range(connectivity.FAILURES):
            began = time.monotonic()
            with pytest.raises(Unreachable, match=r"does not answer.*127\.0\.0\.1"):
                list(engine.stream(audio, never))
            assert time.monotonic() - began < 10
        with pytest.raises(EngineUnavailable, match="not tried"):
            list(engine.stream(audio, never))
    finally:
        deployed.start()
    with pytest.raises(EngineUnavailable, match="not tried"):  # for a while, though it is back
        list(engine.stream(audio, never))


def test_modal_s_own_addresses_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODAL_SERVER_URL", raising=False)
    found = connectivity.addresses()
    assert ("api.modal.com", 443) in found
    assert all(re.fullmatch(r"[a-z0-9.-]+", host) for host, _ in found)


def test_who_goes_through_a_proxy_knocks_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODAL_SERVER_URL", "https://api.modal.com,https://intern.example:8443")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "intern.example")
    assert connectivity.addresses() == [("127.0.0.1", 9), ("intern.example", 8443)]
    monkeypatch.setenv("MODAL_DISABLE_API_PROXY", "1")
    assert connectivity.addresses() == [("api.modal.com", 443), ("intern.example", 8443)]


def test_a_name_server_that_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()

    def wait(*_: Any) -> list[Any]:
        answered.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "it has said nothing")

    monkeypatch.setattr(connectivity, "PROBE_TIMEOUT", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", wait)
    with pytest.raises(Unreachable, match="nothing within"):
        connectivity.probe()
    answered.set()


def test_after_a_pause_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker = Breaker()
    for _ in range(connectivity.FAILURES):
        breaker.check()
        breaker.failed(Unreachable("gone"))
    with pytest.raises(EngineUnavailable, match="gone"):
        breaker.check()
    monkeypatch.setattr(connectivity, "PAUSE", 0.0)
    breaker.failed(Unreachable("gone"))
    monkeypatch.setattr(connectivity, "PAUSE", 30.0)
    breaker.check()
    with pytest.raises(EngineUnavailable, match="gone"):  # one goes ahead, and the others wait
        breaker.check()
    breaker.succeeded()
    breaker.failed(Unreachable("gone"))
