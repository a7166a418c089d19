"""STT_ENGINE=modal with failures: what is retried, and what is reported."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientPayloadError
from grpclib.exceptions import StreamTerminatedError
from modal_proto import api_pb2 as api

from gpu import config
from gpu.modal import cancellation
from gpu.modal.calls import TRANSIENT, translate_error
from gpu.modal.engine import ModalEngine, Part
from gpu.modal.messages import event_from_message
from gpu.tests.modal.conftest import Calls, never, words_of
from gpu.tests.modal.containers import Call
from gpu.tests.modal.control_plane import ControlPlane
from gpu.types import (
    Audio,
    BadAudio,
    Complete,
    DeadlineExceeded,
    EngineError,
    NotAuthenticated,
    NotDeployed,
    Segment,
    Unreachable,
    UnsupportedLanguage,
    UsageDelta,
)
from transcodio_site.testing import ROOT


def test_missing_deployment_is_reported_with_the_command_to_run(
    plane: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "MODAL_APP", "nowhere")
    with pytest.raises(NotDeployed, match=r"modal deploy gpu/app\.py"):
        list(ModalEngine().stream(audio, never))


def test_wrong_token_is_reported_with_the_command_to_run(plane: ControlPlane, audio: Audio) -> None:
    code = (
        "import sys; from pathlib import Path; from gpu.modal.engine import ModalEngine\n"
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


def test_interrupted_call_is_continued_after_the_last_received_segment(
    deployed: ControlPlane, audio: Audio, new_calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu.modal.calls.BACKOFF_S", 0.01)
    deployed.lose_after = 5  # metadata, and two segments with what they have used
    events = list(ModalEngine().stream(audio, never))
    first, again = new_calls()
    assert len(first.chunks) == 5
    # The loss may be reported before the segments arrive; then all of it is sent again.
    received = [event for event in events if isinstance(event, Segment)][:2]
    args, _ = pickle.loads(arguments(deployed, again))  # noqa: S301 - our own
    assert args[1][0][0] == 0
    ends = [0.0, *(segment.end for segment in received)]
    left = [sum(s.end - s.start for s in audio.after(end).spans) for end in ends]
    assert sum(b - a for a, b in args[1]) in [pytest.approx(seconds) for seconds in left]
    times = [t for word in words_of(events) for t in (word.start, word.end)]
    assert times == sorted(times)
    assert len({(w.start, w.end, w.text) for w in words_of(events)}) == len(words_of(events))
    meter = events[-1]
    assert isinstance(meter, Complete)
    usage = sum(event.decode_seconds for event in events if isinstance(event, UsageDelta))
    assert meter.decode_seconds >= usage > 0  # including the interrupted call
    assert meter.audio_seconds == pytest.approx(sum(s.end - s.start for s in audio.spans))


@pytest.mark.slow
def test_output_of_a_restarted_call_is_not_mixed_with_what_was_received(
    deployed: ControlPlane, audio: Audio, new_calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When Modal preempts a container, another one starts the same call again."""
    monkeypatch.setattr("gpu.modal.calls.BACKOFF_S", 0.01)
    deployed.preempt_after = 5
    events = list(ModalEngine().stream(audio, never))
    assert len(new_calls()) == 2
    times = [t for word in words_of(events) for t in (word.start, word.end)]
    assert times == sorted(times)
    assert len({(w.start, w.end, w.text) for w in words_of(events)}) == len(words_of(events))
    assert times[-1] > 62  # in the last stretch
    meter = events[-1]
    assert isinstance(meter, Complete)
    usage = sum((e for e in events if isinstance(e, UsageDelta)), UsageDelta(0.0))
    assert meter.load_seconds >= usage.load_seconds
    assert meter.decode_seconds >= usage.decode_seconds - 1e-6


def test_two_unanswered_probes_do_not_end_a_recording(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu.modal.calls.PROBE_AFTER_S", 0.2)
    monkeypatch.setattr("gpu.modal.calls.PROBE_AGAIN_AFTER_S", 0.2)
    probes = 0
    with ExitStack() as hold:
        hold.enter_context(deployed.hold())

        def unlucky() -> None:
            nonlocal probes
            probes += 1
            if probes in (2, 3):
                raise Unreachable("a slow name server")
            if probes == 4:
                hold.close()

        monkeypatch.setattr("gpu.modal.calls.probe", unlucky)
        assert isinstance(list(ModalEngine().stream(audio, never))[-1], Complete)
    assert probes >= 4


def test_unreadable_local_audio_is_not_reported_as_unreachable(
    audio: Audio, new_calls: Calls
) -> None:
    with pytest.raises(EngineError, match="the audio cannot be read") as caught:
        list(ModalEngine().stream(replace(audio, path=audio.path.parent / "gone.wav"), never))
    assert type(caught.value) is EngineError
    assert new_calls() == []


def test_interrupted_call_is_cancelled_in_its_container(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu.modal.calls.BACKOFF_S", 0.01)
    ended: list[str] = []
    monkeypatch.setattr(cancellation, "cancel", ended.append)
    part = Part(audio)
    part._call_id = "lost"
    next(part.attempt())
    assert ended == ["lost"]
    assert part._call_id != "lost"
    part.cancel()


@pytest.mark.parametrize(
    "error", [StreamTerminatedError("reset"), ClientPayloadError("cut off"), ConnectionError("x")]
)
def test_connection_errors_are_transient(error: Exception) -> None:
    assert isinstance(translate_error(error), TRANSIENT)


TIMEOUT = api.GenericResult.GENERIC_STATUS_TIMEOUT
FAILURE = api.GenericResult.GENERIC_STATUS_FAILURE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (TIMEOUT, "", DeadlineExceeded),
        (FAILURE, "RuntimeError: the method raised", EngineError),
        (FAILURE, "OutOfMemoryError: CUDA out of memory", None),
    ],
)
def test_failed_call_is_reported_by_kind_and_full_memory_is_tried_again(
    deployed: ControlPlane,
    audio: Audio,
    new_calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    status: Any,
    message: str,
    kind: type[EngineError] | None,
) -> None:
    """The call fails after its first items. Full memory may have room at the second attempt."""
    monkeypatch.setattr("gpu.modal.calls.BACKOFF_S", 0.01)
    monkeypatch.setattr(deployed, "loss", api.GenericResult(status=status, exception=message))
    deployed.lose_after = 3
    events: list[Any] = []
    with pytest.raises(kind) if kind else nullcontext() as caught:
        events.extend(ModalEngine().stream(audio, never))
    if caught:
        assert type(caught.value) is kind
        assert message in str(caught.value)
        assert len(new_calls()) == 1
    else:
        assert isinstance(events[-1], Complete)
        assert len(new_calls()) == 2


def arguments(plane: ControlPlane, call: Call) -> bytes:
    """The pickled arguments of a call."""
    given = call.input.input
    inline = given.WhichOneof("args_oneof") == "args"
    return given.args if inline else plane.blobs[given.args_blob_id]


def test_refusal_by_the_container_is_reported_by_kind(remote: Any, noise: bytes) -> None:
    (item,) = list(remote.transcribe_stream.remote_gen(noise, language="de"))
    with pytest.raises(UnsupportedLanguage, match="only English"):
        event_from_message(json.loads(item))


def test_stalled_stream_is_given_up(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deployed.hold():
        stream = ModalEngine().stream(audio, never)
        next(stream)
        monkeypatch.setattr(config, "MODAL_SILENCE_TIMEOUT_S", 1.0)
        with pytest.raises(DeadlineExceeded, match="sent nothing for 1 s"):
            list(stream)


def test_recording_past_its_deadline_is_given_up(deployed: ControlPlane, audio: Audio) -> None:
    hurried = replace(audio, duration=0.5 - config.MODAL_STARTUP_TIMEOUT_S)  # half a second in all
    with deployed.hold(), pytest.raises(DeadlineExceeded, match="the deadline has passed"):
        list(ModalEngine().stream(hurried, never))


def test_bad_audio_is_reported_by_kind() -> None:
    message = {"type": "error", "code": "bad_audio", "detail": "…", "reason": "empty"}
    with pytest.raises(BadAudio, match="empty"):
        event_from_message(message)
