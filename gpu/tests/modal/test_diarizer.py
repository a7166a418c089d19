"""DIARIZER=modal: recordings are sent to Modal, and their speakers come back."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from modal_proto import api_pb2 as api

from gpu import config
from gpu.diarization.clustering import SpeakerLimits
from gpu.diarization.modal_app import PACKAGES
from gpu.diarization.modal_diarizer import ModalDiarizer, _Call, _results
from gpu.diarization.pyannote import PyannoteDiarizer
from gpu.diarization.types import Diarization
from gpu.tests.modal.conftest import Calls, Run, messages_of, never, outcome_of
from gpu.tests.modal.containers import Call
from gpu.tests.modal.control_plane import ControlPlane
from gpu.types import Audio, Cancelled, EngineError, EngineUnavailable, NotDeployed, UsageDelta
from transcodio_site.testing import WAIT_S, Stack, wait_until

LIMITS = SpeakerLimits(2, 3)


@pytest.fixture(scope="module")
def with_speakers(plane: ControlPlane, cli: Run, pyannote_model: str) -> Iterator[ControlPlane]:
    """The app is deployed with DIARIZER=modal."""
    answer = deploy(cli, "speakers", pyannote_model)
    assert answer.returncode == 0, answer.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "MODAL_APP", "speakers")
        yield plane


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu.modal.calls.BACKOFF_S", 0.01)


@pytest.fixture
def calls(with_speakers: ControlPlane) -> Calls:
    """A function that gives the calls that were made since the test began."""
    before = len(with_speakers.calls)
    return lambda: list(with_speakers.calls.values())[before:]


def deploy(cli: Run, app: str, model: str) -> Any:
    settings = {"MODAL_APP": app, "DIARIZER": "modal", "PYANNOTE_MODEL": model}
    return cli("deploy", "gpu/app.py", HF_TOKEN="hf_secret", **settings)


def diarize(audio: Audio) -> list[Diarization]:
    return list(ModalDiarizer().stream(audio, LIMITS, never))


def test_deployment_has_a_class_of_its_own_only_if_asked_for(
    with_speakers: ControlPlane, deployed: ControlPlane
) -> None:
    layout = deployed.layouts[deployed.apps["transcodio-app"]]
    assert "PyannoteModel.*" not in layout.function_ids
    layout = with_speakers.layouts[with_speakers.apps["speakers"]]
    assert "KyutaiSTTModel.*" in layout.function_ids
    function = with_speakers.functions[layout.function_ids["PyannoteModel.*"]]
    assert function.resources.gpu_config.gpu_type == "L4"
    assert [mount.mount_path for mount in function.volume_mounts] == ["/models"]
    assert (function.task_idle_timeout_secs, function.concurrency_limit) == (120, 4)
    assert function.max_concurrent_inputs == 4
    kinds = {name: m.function_type for name, m in function.method_definitions.items()}
    assert kinds == {"diarize_stream": api.Function.FUNCTION_TYPE_GENERATOR}
    commands = "\n".join(with_speakers.image_commands(function.image_id))
    assert all(package in commands for package in PACKAGES)


def test_token_of_the_hub_reaches_containers_as_a_secret(with_speakers: ControlPlane) -> None:
    layout = with_speakers.layouts[with_speakers.apps["speakers"]]
    for name in ("PyannoteModel.*", "download"):
        function = with_speakers.functions[layout.function_ids[name]]
        given = [with_speakers.secrets[secret_id] for secret_id in function.secret_ids]
        assert {"HF_TOKEN": "hf_secret"} in given
        assert "hf_secret" not in "".join(with_speakers.image_commands(function.image_id))


@pytest.mark.slow
def test_speakers_equal_those_of_the_same_pipeline_run_locally(
    with_speakers: ControlPlane, tones: Audio, pyannote_package: None, pyannote_model: str
) -> None:
    *_, here = PyannoteDiarizer(pyannote_model, "cpu").stream(tones, LIMITS, never)
    last = diarize(tones)[-1]
    assert (last.turns, last.voices) == (here.turns, here.voices)
    assert len({turn.speaker for turn in last.turns}) >= 2
    assert (last.is_final, last.until) == (True, tones.duration)
    assert last.usage
    assert (last.usage.gpu, last.usage.decode_seconds > 0) == ("L4", True)


def test_recording_without_speech_is_not_sent(tones: Audio, calls: Calls) -> None:
    assert diarize(replace(tones, spans=())) == [Diarization((), 12.0, is_final=True)]
    assert calls() == []


@pytest.mark.slow
@pytest.mark.covers("fault", "A recording is cancelled while its speakers are detected on Modal")
def test_cancellation_ends_the_call(
    with_speakers: ControlPlane, tones: Audio, calls: Calls
) -> None:
    stop = threading.Event()

    def read() -> None:
        with pytest.raises(Cancelled):
            list(ModalDiarizer().stream(tones, LIMITS, stop.is_set))

    with with_speakers.hold():
        reader = threading.Thread(target=read)
        reader.start()
        wait_until(lambda: [call.started for call in calls()] == [True])
        stop.set()
        reader.join(WAIT_S)
        assert not reader.is_alive()
        (call,) = calls()
        wait_until(lambda: call.output is not None)
    assert outcome_of(call) == "cancelled"


@pytest.mark.covers("fault", "A container on Modal is lost while it detects speakers")
def test_lost_call_is_made_again_and_its_usage_counts(
    with_speakers: ControlPlane, tones: Audio, calls: Calls
) -> None:
    with_speakers.lose_after = 1  # what it has used, before the result
    last = diarize(tones)[-1]
    assert last.is_final
    lost, again = calls()
    assert last.usage
    # How much of the first call arrives before its loss is reported depends on timing.
    assert seconds(again) <= last.usage.decode_seconds + 1e-6
    assert last.usage.decode_seconds <= seconds(lost) + seconds(again) + 1e-6


def seconds(call: Call) -> float:
    """Seconds of GPU time according to the messages."""
    return float(sum(m["gpu_seconds"] for m in messages_of(call) if m["type"] == "usage"))


class Broken(_Call):
    """A call that fails after it has used something."""

    def attempt(self) -> Iterator[Diarization | UsageDelta]:
        yield UsageDelta(2.0, "L4", load_seconds=40.0)
        raise EngineError("it broke")


def test_usage_of_a_call_that_fails_is_known(tones: Audio) -> None:
    stream = _results(Broken(tones, LIMITS), tones, never)
    assert next(stream) == Diarization((), 0.0, usage=UsageDelta(2.0, "L4", 0.0, 40.0))
    with pytest.raises(EngineError, match="it broke"):
        next(stream)


def test_app_without_the_class_is_reported_with_the_command_to_run(
    deployed: ControlPlane, tones: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "MODAL_APP", "transcodio-app")
    with pytest.raises(NotDeployed, match=r"modal deploy gpu/app\.py.*same settings"):
        diarize(tones)


@pytest.mark.slow
def test_container_without_weights_reports_it(
    plane: ControlPlane, cli: Run, tones: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deploy(cli, "mute", "/nonexistent").returncode == 0
    monkeypatch.setattr(config, "MODAL_APP", "mute")
    with pytest.raises(EngineUnavailable, match="PYANNOTE_MODEL='/nonexistent' cannot be loaded"):
        diarize(tones)


@pytest.mark.slow
def test_engine_check_command_reports_speakers(
    with_speakers: ControlPlane, tones: Audio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STT_ENGINE", "DIARIZER"):
        monkeypatch.setenv(name, "modal")
    monkeypatch.setenv("MODAL_APP", "speakers")
    answer = Stack(tmp_path).manage("engine_check", str(tones.path))
    assert answer.returncode == 0, answer.stderr
    said = answer.stdout.splitlines()[-1]
    assert re.fullmatch(r"modal found \d+ speakers? in \d+\.\d s, 0\.\d+ USD", said)
