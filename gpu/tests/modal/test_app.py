"""The app with the real CLI, and its class called as other programs would."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import modal
import numpy as np
import pytest
from modal_proto import api_pb2 as api

from gpu import codec, config, pcm
from gpu.app import PACKAGES
from gpu.modal.container import TELEMETRY_PACKAGES
from gpu.modal.engine import ModalEngine
from gpu.tests.modal import hub
from gpu.tests.modal.conftest import Run, never
from gpu.tests.modal.control_plane import ControlPlane
from gpu.types import (
    Audio,
    BadAudio,
    DeadlineExceeded,
    EngineUnavailable,
)
from transcodio_site.testing import ROOT


def test_deployment_declares_gpu_volume_limits_and_methods(deployed: ControlPlane) -> None:
    layout = deployed.layouts[deployed.apps["transcodio-app"]]
    function = deployed.functions[layout.function_ids["KyutaiSTTModel.*"]]
    assert (function.resources.gpu_config.gpu_type, function.resources.gpu_config.count) == (
        "L4",
        1,
    )
    assert [mount.mount_path for mount in function.volume_mounts] == ["/models"]
    assert deployed.volumes == ["transcodio-models"] * len(deployed.volumes)
    assert function.task_idle_timeout_secs == 120
    assert (function.timeout_secs, function.startup_timeout_secs) == (1800, 600)
    assert function.concurrency_limit == 4
    assert function.max_concurrent_inputs == 32
    assert function.checkpointing_enabled
    kinds = {name: m.function_type for name, m in function.method_definitions.items()}
    assert kinds == {
        "live": api.Function.FUNCTION_TYPE_GENERATOR,
        "transcribe": api.Function.FUNCTION_TYPE_FUNCTION,
        "transcribe_stream": api.Function.FUNCTION_TYPE_GENERATOR,
    }
    assert "download" in layout.function_ids


def test_image_pins_its_packages_and_contains_no_django(
    deployed: ControlPlane,
) -> None:
    layout = deployed.layouts[deployed.apps["transcodio-app"]]
    function = deployed.functions[layout.function_ids["KyutaiSTTModel.*"]]
    commands = "\n".join(deployed.image_commands(function.image_id))
    for package in PACKAGES:
        assert package in commands
    assert {p.split("==")[0] for p in PACKAGES} >= {"torch", "torchaudio", "transformers"}
    files = {file.filename for mount in function.mount_ids for file in deployed.mounts[mount]}
    assert {"/root/app.py", "/root/gpu/kyutai/batching.py"} <= files
    assert not [name for name in files if "tests" in name or "transcri" in name]


def test_image_pins_the_versions_that_are_tested() -> None:
    lines = (ROOT / "requirements" / "test.txt").read_text().splitlines()
    tested = dict(line.split("==") for line in lines)
    for package in (*PACKAGES, *TELEMETRY_PACKAGES):
        name, version = package.split("==")
        if not name.startswith("torch"):  # torchaudio fits one release of it only
            assert tested[name] == version


def test_settings_reach_the_deployment(plane: ControlPlane, cli: Run) -> None:
    more = {
        "MODAL_APP": "other",
        "MODAL_GPU_TYPE": "H100",
        "MODAL_CONTAINER_IDLE_TIMEOUT": "300",
        "MODAL_MIN_CONTAINERS": "1",
    }
    assert cli("deploy", "gpu/app.py", **more).returncode == 0
    layout = plane.layouts[plane.apps["other"]]
    function = plane.functions[layout.function_ids["KyutaiSTTModel.*"]]
    assert function.resources.gpu_config.gpu_type == "H100"
    assert function.task_idle_timeout_secs == 300
    assert function.autoscaler_settings.min_containers == 1  # kept warm


@pytest.mark.slow
def test_weights_in_the_volume_are_used_without_the_hub(
    plane: ControlPlane,
    cli: Run,
    model: Path,
    tmp_path: Path,
    noise: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = {"STT_MODEL_ID": "kyutai/stt-tiny"}
    volume = {"HF_HOME": str(tmp_path / "models")}
    with hub.serving(model, "kyutai/stt-tiny") as url:
        monkeypatch.setattr(plane, "environment", volume | {"HF_ENDPOINT": url})
        before = plane.commits
        answer = cli("run", "gpu/app.py::download", **name)
        assert answer.returncode == 0, answer.stderr
        assert plane.commits == before + 1
    monkeypatch.setattr(plane, "environment", volume | {"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert cli("deploy", "gpu/app.py", MODAL_APP="full", **name).returncode == 0
    answer = modal.Cls.from_name("full", "KyutaiSTTModel")().transcribe.remote(noise)
    assert answer["model"] == "stt-tiny"
    assert answer["segments"]


@pytest.mark.slow
def test_container_without_weights_reports_it(
    plane: ControlPlane, cli: Run, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = {"MODAL_APP": "empty", "STT_MODEL_ID": "/nonexistent"}
    assert cli("deploy", "gpu/app.py", **none).returncode == 0
    monkeypatch.setattr(config, "MODAL_APP", "empty")
    with pytest.raises(EngineUnavailable, match="STT_MODEL_ID='/nonexistent' cannot be loaded"):
        list(ModalEngine().stream(audio, never))


def test_settings_are_read_from_the_env_file_too(tmp_path: Path) -> None:
    copy = tmp_path / "gpu"
    copy.mkdir()
    (copy / "__init__.py").touch()
    shutil.copy(config.__file__, copy)
    (tmp_path / ".env").write_text("MODAL_GPU_TYPE=L40S\nMODAL_APP=from-file\n")
    code = "from gpu import config; print(config.MODAL_GPU_TYPE, config.MODAL_APP)"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "MODAL_APP": "from-environment"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.split() == ["L40S", "from-environment"]


@pytest.mark.slow
def test_unreadable_file_is_reported_without_a_traceback(cli: Run, plane: ControlPlane) -> None:
    for path, complaint in ((__file__, "no audio"), ("/nonexistent.mp3", "No such file")):
        answer = cli("run", "gpu/app.py", "--path", path)
        assert answer.returncode == 1
        assert path in answer.stderr + answer.stdout
        assert complaint in answer.stderr + answer.stdout
        assert "Traceback" not in answer.stderr + answer.stdout


@pytest.mark.slow
def test_modal_run_prints_the_segments(deployed: ControlPlane, cli: Run, short: Path) -> None:
    answer = cli("run", "gpu/app.py", "--path", str(short))
    assert answer.returncode == 0, answer.stderr
    assert "6.0 s of audio in" in answer.stdout
    assert re.search(r"^ +\d\.\d\d +\d\.\d\d  \w+ ", answer.stdout, re.MULTILINE)


# --- The class, called as from any program --------------------------------------------------------


def test_stream_yields_json_events(remote: Any, noise: bytes) -> None:
    started_at = time.monotonic()
    calls = remote.transcribe_stream.remote_gen(noise, sent_at=time.time())
    items = [json.loads(item) for item in calls]
    elapsed = time.monotonic() - started_at
    assert (items[0]["type"], items[-1]["type"]) == ("metadata", "complete")
    assert len({item["attempt_id"] for item in items}) == 1
    assert {item["type"] for item in items[1:-1]} == {"usage", "segment"}
    for segment in items[2:-1:2]:
        assert segment["text"].split() == [word["text"] for word in segment["words"]]
        assert segment["start"] == segment["words"][0]["start"]
    meter = items[-1]
    assert meter["audio_seconds"] == pytest.approx(12, abs=0.1)
    assert 0 < meter["gpu_seconds"] < elapsed
    assert meter["queue_seconds"] >= 0
    assert meter["gpu"] == "L4"
    usage = [item for item in items if item["type"] == "usage"]
    assert {item["gpu"] for item in usage} == {"L4"}
    assert 0 < sum(item["gpu_seconds"] for item in usage) <= meter["gpu_seconds"]
    assert sum(item["queue_seconds"] for item in usage) == pytest.approx(meter["queue_seconds"])


def test_container_that_does_not_start_is_given_up(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "MODAL_STARTUP_TIMEOUT_S", 0.5)
    deployed.kill_containers()
    monkeypatch.setattr(deployed, "starts_containers", False)
    with pytest.raises(DeadlineExceeded, match="sent nothing"):
        list(ModalEngine().stream(audio, never))


@pytest.mark.slow
def test_cold_start_is_metered_for_calls_that_waited_for_it(
    deployed: ControlPlane, remote: Any, noise: bytes
) -> None:
    deployed.kill_containers()
    waited = []
    for ago in (3600, 0):  # seconds since the call was sent
        stream = remote.transcribe_stream.remote_gen(noise, sent_at=time.time() - ago)
        items = [json.loads(item) for item in stream]
        waited.append(items[-1]["load_seconds"])
        usage = [item["load_seconds"] for item in items if item["type"] == "usage"]
        assert usage[0] == waited[-1]  # a reader that stops before the end knows it
        assert not any(usage[1:])
    assert waited[0] > 3600
    assert waited[1] == 0
    deployed.kill_containers()
    assert remote.transcribe.remote(noise, sent_at=time.time() - 3600)["load_seconds"] > 3600


def test_transcribe_returns_the_whole_transcript(remote: Any, noise: bytes) -> None:
    answer = remote.transcribe.remote(noise)
    assert answer["text"] == " ".join(segment["text"] for segment in answer["segments"])
    assert [segment["id"] for segment in answer["segments"]] == [
        *range(1, len(answer["segments"]) + 1)
    ]
    assert {*answer["segments"][0]} == {"id", "start", "end", "text", "words"}
    assert answer["language"] == "en"
    assert answer["gpu_seconds"] > 0


def test_compressed_recording_is_decoded(remote: Any, short: Path) -> None:
    answer = remote.transcribe.remote(short.read_bytes())
    assert answer["audio_seconds"] == pytest.approx(6, abs=0.2)


def test_unreadable_audio_yields_an_error_event(remote: Any) -> None:
    (item,) = [json.loads(item) for item in remote.transcribe_stream.remote_gen(b"Dear diary")]
    assert (item["type"], item["code"]) == ("error", "bad_audio")
    assert item["detail"] == BadAudio.user_message
    with pytest.raises(BadAudio, match="no audio that can be decoded"):
        remote.transcribe.remote(b"Dear diary")


def test_large_arguments_go_through_the_blob_store(deployed: ControlPlane, remote: Any) -> None:
    samples = np.random.default_rng(2).integers(
        -9999, 9999, 60 * pcm.SAMPLE_RATE_HZ, dtype=np.int16
    )
    data = codec.encode(samples)
    assert len(data) > 2 << 20
    before = len(deployed.blobs)
    assert remote.transcribe.remote(data, spans=[(0, 2)])["segments"]
    assert len(deployed.blobs) > before
