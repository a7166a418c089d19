"""The app with the real CLI, and its class as any program calls it."""

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
from gpu.modal_engine import ModalEngine
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


def test_what_is_deployed(deployed: ControlPlane) -> None:
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
        "transcribe": api.Function.FUNCTION_TYPE_FUNCTION,
        "transcribe_stream": api.Function.FUNCTION_TYPE_GENERATOR,
    }
    assert "download" in layout.function_ids


def test_the_image_pins_what_it_installs_and_holds_nothing_of_django(
    deployed: ControlPlane,
) -> None:
    layout = deployed.layouts[deployed.apps["transcodio-app"]]
    function = deployed.functions[layout.function_ids["KyutaiSTTModel.*"]]
    commands = "\n".join(deployed.image_commands(function.image_id))
    for package in PACKAGES:
        assert package in commands
    assert {p.split("==")[0] for p in PACKAGES} >= {"torch", "torchaudio", "transformers"}
    files = {file.filename for mount in function.mount_ids for file in deployed.mounts[mount]}
    assert {"/root/app.py", "/root/gpu/batching.py"} <= files
    assert not [name for name in files if "tests" in name or "transcri" in name]


def test_the_image_and_the_tests_agree_on_what_is_installed() -> None:
    lines = (ROOT / "requirements" / "test.txt").read_text().splitlines()
    tested = dict(line.split("==") for line in lines)
    for package in PACKAGES:
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


def test_weights_in_the_volume_need_no_hub(
    plane: ControlPlane, cli: Run, model: Path, tmp_path: Path, noise: bytes
) -> None:
    name = {"STT_MODEL_ID": "kyutai/stt-tiny"}
    volume = {"HF_HOME": str(tmp_path / "models")}
    with hub.serving(model, "kyutai/stt-tiny") as url:
        plane.environment = volume | {"HF_ENDPOINT": url}
        before = plane.commits
        answer = cli("run", "gpu/app.py::download", **name)
        assert answer.returncode == 0, answer.stderr
        assert plane.commits == before + 1
    plane.environment = volume | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert cli("deploy", "gpu/app.py", MODAL_APP="full", **name).returncode == 0
    answer = modal.Cls.from_name("full", "KyutaiSTTModel")().transcribe.remote(noise)
    assert answer["model"] == "stt-tiny"
    assert answer["segments"]
    plane.environment = {}


def test_a_machine_without_weights_says_so(
    plane: ControlPlane, cli: Run, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = {"MODAL_APP": "empty", "STT_MODEL_ID": "/nonexistent"}
    assert cli("deploy", "gpu/app.py", **none).returncode == 0
    monkeypatch.setattr(config, "MODAL_APP", "empty")
    with pytest.raises(EngineUnavailable, match="STT_MODEL_ID='/nonexistent' cannot be loaded"):
        list(ModalEngine().stream(audio, never))


def test_settings_are_read_from_the_file_as_well(tmp_path: Path) -> None:
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


def test_a_file_that_is_no_recording_is_named(cli: Run, plane: ControlPlane) -> None:
    for path, complaint in ((__file__, "no recording"), ("/nonexistent.mp3", "No such file")):
        answer = cli("run", "gpu/app.py", "--path", path)
        assert answer.returncode == 1
        assert path in answer.stderr + answer.stdout
        assert complaint in answer.stderr + answer.stdout
        assert "Traceback" not in answer.stderr + answer.stdout


def test_one_recording_from_the_command_line(deployed: ControlPlane, cli: Run, short: Path) -> None:
    answer = cli("run", "gpu/app.py", "--path", str(short))
    assert answer.returncode == 0, answer.stderr
    assert "6.0 s of audio in" in answer.stdout
    assert re.search(r"^ +\d\.\d\d +\d\.\d\d  \w+ ", answer.stdout, re.MULTILINE)


# --- The class, as any program calls it -----------------------------------------------------------


def test_a_stream_is_json_item_by_item(remote: Any, noise: bytes) -> None:
    sent = time.time()
    items = [json.loads(item) for item in remote.transcribe_stream.remote_gen(noise, sent_at=sent)]
    assert (items[0]["type"], items[-1]["type"]) == ("metadata", "complete")
    assert len({item["run"] for item in items}) == 1
    assert {item["type"] for item in items[1:-1]} == {"spent", "segment"}
    for segment in items[2:-1:2]:
        assert segment["text"].split() == [word["text"] for word in segment["words"]]
        assert segment["start"] == segment["words"][0]["start"]
    meter = items[-1]
    assert meter["audio_seconds"] == pytest.approx(12, abs=0.1)
    assert 0 < meter["gpu_seconds"] < 60
    assert meter["queue_seconds"] >= 0
    assert meter["gpu"] == "L4"
    spent = [item for item in items if item["type"] == "spent"]
    assert {item["gpu"] for item in spent} == {"L4"}
    assert 0 < sum(item["gpu_seconds"] for item in spent) <= meter["gpu_seconds"]
    assert sum(item["queue_seconds"] for item in spent) == pytest.approx(meter["queue_seconds"])


def test_a_machine_that_says_nothing_is_given_up(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "MODAL_COLD_START", 0.5)
    deployed.kill_containers()
    with pytest.raises(DeadlineExceeded, match="said nothing"):  # a process cannot start so soon
        list(ModalEngine().stream(audio, never))


def test_a_cold_start_is_on_the_meter_of_those_who_waited_for_it(
    deployed: ControlPlane, remote: Any, noise: bytes
) -> None:
    deployed.kill_containers()
    waited = []
    for _ in range(2):
        stream = remote.transcribe_stream.remote_gen(noise, sent_at=time.time())
        items = [json.loads(item) for item in stream]
        waited.append(items[-1]["load_seconds"])
        spent = [item["load_seconds"] for item in items if item["type"] == "spent"]
        assert spent[0] == waited[-1]  # who stops listening has heard of it
        assert not any(spent[1:])
    assert waited[0] > 1  # Python, torch and the model: all of that was waited for
    assert waited[1] == 0
    deployed.kill_containers()
    assert remote.transcribe.remote(noise, sent_at=time.time())["load_seconds"] > 1


def test_a_whole_answer(remote: Any, noise: bytes) -> None:
    answer = remote.transcribe.remote(noise)
    assert answer["text"] == " ".join(segment["text"] for segment in answer["segments"])
    assert [segment["id"] for segment in answer["segments"]] == [
        *range(1, len(answer["segments"]) + 1)
    ]
    assert {*answer["segments"][0]} == {"id", "start", "end", "text", "words"}
    assert answer["language"] == "en"
    assert answer["gpu_seconds"] > 0


def test_a_recording_of_any_kind_is_read(remote: Any, short: Path) -> None:
    answer = remote.transcribe.remote(short.read_bytes())
    assert answer["audio_seconds"] == pytest.approx(6, abs=0.2)


def test_what_is_no_recording_is_an_error_event(remote: Any) -> None:
    (item,) = [json.loads(item) for item in remote.transcribe_stream.remote_gen(b"Dear diary")]
    assert (item["type"], item["code"]) == ("error", "bad_audio")
    assert item["detail"] == BadAudio.sentence
    with pytest.raises(BadAudio, match="no recording that can be decoded"):
        remote.transcribe.remote(b"Dear diary")


def test_large_arguments_travel_through_the_blob_store(deployed: ControlPlane, remote: Any) -> None:
    samples = np.random.default_rng(2).integers(-9999, 9999, 60 * pcm.RATE, dtype=np.int16)
    data = codec.encode(samples)
    assert len(data) > 2 << 20
    before = len(deployed.blobs)
    assert remote.transcribe.remote(data, spans=[(0, 2)])["segments"]
    assert len(deployed.blobs) > before
