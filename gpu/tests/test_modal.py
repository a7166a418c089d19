"""STT_ENGINE=modal with the real CLI and the real client, against a control plane on loopback."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import modal
import numpy as np
import psutil
import pytest
from aiohttp import ClientPayloadError
from grpclib.exceptions import StreamTerminatedError
from modal_proto import api_pb2 as api

from gpu import billing, client, codec, config, pcm, reach, tickets
from gpu.app import PACKAGES
from gpu.client import ModalEngine
from gpu.kyutai_engine import KyutaiEngine
from gpu.reach import Breaker
from gpu.tests import hub, tiny
from gpu.tests.conftest import WriteWav
from gpu.tests.control_plane import Call, ControlPlane
from gpu.types import (
    Audio,
    BadAudio,
    Cancelled,
    Complete,
    DeadlineExceeded,
    EngineError,
    EngineUnavailable,
    Metadata,
    NotAuthenticated,
    NotDeployed,
    Segment,
    Span,
    Spent,
    Unreachable,
    UnsupportedLanguage,
    Word,
)
from transcodio_site.testing import ROOT, Media, Stack, wait_until

MODAL = [sys.executable, "-m", "modal"]
Run = Callable[..., subprocess.CompletedProcess[str]]


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "stt-tiny"
    tiny.model().save_pretrained(folder)
    tiny.processor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Running; this process's own client talks to it and to nobody else."""
    plane = ControlPlane(tmp_path_factory.mktemp("modal"))
    plane.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in plane.client_environment().items():
            patch.setenv(name, value)
        yield plane
    plane.stop()
    plane.kill_containers()


@pytest.fixture(scope="module")
def cli(plane: ControlPlane, model: Path) -> Run:
    """Runs `modal ...` as the README says, with the tiny model in place of the real one."""
    settings = {"STT_MODEL_ID": str(model), "STT_DEVICE": "cpu", "STT_ROWS": "4"}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MODAL, *arguments],
            cwd=ROOT,
            env=os.environ | settings | more,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def deployed(plane: ControlPlane, cli: Run) -> ControlPlane:
    answer = cli("deploy", "gpu/app.py")
    assert answer.returncode == 0, answer.stderr
    return plane


@pytest.fixture
def audio(write_wav: WriteWav) -> Audio:
    """A minute and a half of noise, of which three stretches count as speech."""
    noise = np.random.default_rng(4).standard_normal(90 * pcm.RATE) * 3000
    path = write_wav(noise.astype(np.int16))
    return Audio(path, 90.0, (Span(2, 30), Span(32, 60), Span(62, 86)))


@pytest.fixture
def remote(deployed: ControlPlane) -> Any:
    """The class as any program would look it up."""
    return modal.Cls.from_name("transcodio-app", "KyutaiSTTModel")()


def words_of(events: list[Any]) -> list[Word]:
    return [word for event in events if isinstance(event, Segment) for word in event.words]


def running(plane: ControlPlane, number: int = 1) -> list[Call]:
    """The calls that are under way, once there are as many and each has said something."""
    found: list[Call] = []

    def ready() -> bool:
        found[:] = [c for c in plane.calls.values() if c.output is None and len(c.chunks) > 1]
        return len(found) >= number

    wait_until(ready, 60)
    return found


def said(call: Call) -> list[dict[str, Any]]:
    """What it has answered, but for the mark of its end."""
    chunks = (c for c in call.chunks if c.data_format != api.DATA_FORMAT_GENERATOR_DONE)
    return [json.loads(pickle.loads(chunk.data)) for chunk in chunks]  # noqa: S301 - our own


def ended_early(plane: ControlPlane) -> list[Call]:
    """The calls that noticed that nobody wanted them any more."""
    finished = [call for call in plane.calls.values() if call.output is not None]
    return [c for c in finished if [i.get("code") for i in said(c)][-1:] == ["cancelled"]]


def silence(path: Path, seconds: int) -> None:
    """Makes an empty WAV that long; it takes hardly any room on the disk."""
    with path.open("r+b") as file:
        size = seconds * pcm.RATE * 2
        file.truncate(44 + size)
        file.seek(4)
        file.write((36 + size).to_bytes(4, "little"))
        file.seek(40)
        file.write(size.to_bytes(4, "little"))


# --- Deployment -----------------------------------------------------------------------------------


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
    more = {"MODAL_APP": "other", "MODAL_GPU_TYPE": "H100", "MODAL_CONTAINER_IDLE_TIMEOUT": "300"}
    assert cli("deploy", "gpu/app.py", **more).returncode == 0
    layout = plane.layouts[plane.apps["other"]]
    function = plane.functions[layout.function_ids["KyutaiSTTModel.*"]]
    assert function.resources.gpu_config.gpu_type == "H100"
    assert function.task_idle_timeout_secs == 300


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


@pytest.fixture(scope="module")
def short(media: Media) -> Path:
    return media.speech("short.mp3", 6)


def test_one_recording_from_the_command_line(deployed: ControlPlane, cli: Run, short: Path) -> None:
    answer = cli("run", "gpu/app.py", "--path", str(short))
    assert answer.returncode == 0, answer.stderr
    assert "6.0 s of audio in" in answer.stdout
    assert re.search(r"^ +\d\.\d\d +\d\.\d\d  \w+ ", answer.stdout, re.MULTILINE)


# --- The class, as any program calls it -----------------------------------------------------------


@pytest.fixture
def noise() -> bytes:
    """Twelve seconds."""
    samples = np.random.default_rng(2).standard_normal(12 * pcm.RATE) * 3000
    return codec.encode(samples.astype(np.int16))


def test_a_stream_is_json_item_by_item(remote: Any, noise: bytes) -> None:
    sent = time.time()
    items = [json.loads(item) for item in remote.transcribe_stream.remote_gen(noise, sent_at=sent)]
    assert (items[0]["type"], items[-1]["type"]) == ("metadata", "complete")
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
        waited.append(json.loads(list(stream)[-1])["load_seconds"])
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


# --- The engine -----------------------------------------------------------------------------------


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
    monkeypatch.setattr(client, "PART", 29.0)
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
    monkeypatch.setattr(client, "PART", 29.0)
    list(ModalEngine().stream(audio, never))  # a container is there
    deployed.most_at_once = 0
    list(ModalEngine().stream(audio, never))
    assert deployed.most_at_once == 3
    monkeypatch.setattr(client, "IN_FLIGHT", 2)
    deployed.most_at_once = 0
    list(ModalEngine().stream(audio, never))
    assert deployed.most_at_once == 2


def test_three_hours_go_up_in_bounded_memory(
    deployed: ControlPlane, write_wav: WriteWav, audio: Audio
) -> None:
    list(ModalEngine().stream(audio, never))  # whatever is allocated once is there now
    path = write_wav(np.zeros(0, np.int16))
    silence(path, 3 * 3600)
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


# --- When something is wrong ----------------------------------------------------------------------


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
    monkeypatch.setattr(client, "BACKOFF", 0.01)
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


def test_a_call_that_broke_off_is_ended_where_it_runs(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BACKOFF", 0.01)
    ended: list[str] = []
    monkeypatch.setattr(tickets, "hand_in", ended.append)
    part = client.Part(audio)
    part._ticket = "lost"
    next(part._heard_events())
    assert ended == ["lost"]
    assert part._ticket != "lost"
    part.cancel()


@pytest.mark.parametrize(
    "error", [StreamTerminatedError("reset"), ClientPayloadError("cut off"), ConnectionError("x")]
)
def test_a_connection_that_breaks_may_be_tried_again(error: Exception) -> None:
    assert isinstance(client.translated(error), client.TRANSIENT)


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
    monkeypatch.setattr(client, "BACKOFF", 0.01)
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
        client.event_of(json.loads(item), 0.0)


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
        client.event_of(message, 0.0)


# --- The bill -------------------------------------------------------------------------------------


def test_the_bill_is_read_by_day(plane: ControlPlane) -> None:
    days = [datetime(2026, 5, day) for day in (3, 4, 5, 6)]
    plane.bill = [("transcodio-app", day, f"0.{day.day:02}0001") for day in days]
    plane.bill += [("transcodio-app", days[1], "1"), ("another-app", days[1], "50")]
    assert billing.cost_by_day(date(2026, 5, 4), date(2026, 5, 5)) == {
        date(2026, 5, 4): Decimal("1.040001"),
        date(2026, 5, 5): Decimal("0.050001"),
    }


def test_a_bill_that_cannot_be_read_says_what_to_do(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODAL_SERVER_URL", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="check the network"):
        billing.cost_by_day(date(2026, 5, 4), date(2026, 5, 5))


# --- At the end, as the client takes its time to come back to a server that was away --------------


def test_a_server_that_dies_in_mid_stream_is_noticed_in_seconds(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PROBE", 0.5)
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
        for _ in range(reach.FAILURES):
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
    found = reach.addresses()
    assert ("api.modal.com", 443) in found
    assert all(re.fullmatch(r"[a-z0-9.-]+", host) for host, _ in found)


def test_who_goes_through_a_proxy_knocks_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODAL_SERVER_URL", "https://api.modal.com,https://intern.example:8443")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "intern.example")
    assert reach.addresses() == [("127.0.0.1", 9), ("intern.example", 8443)]
    monkeypatch.setenv("MODAL_DISABLE_API_PROXY", "1")
    assert reach.addresses() == [("api.modal.com", 443), ("intern.example", 8443)]


def test_a_name_server_that_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(reach, "PROBE_TIMEOUT", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answered.wait())
    with pytest.raises(Unreachable, match="nothing within"):
        reach.probe()
    answered.set()


def test_after_a_pause_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker = Breaker()
    for _ in range(reach.FAILURES):
        breaker.check()
        breaker.failed(Unreachable("gone"))
    with pytest.raises(EngineUnavailable, match="gone"):
        breaker.check()
    monkeypatch.setattr(reach, "PAUSE", 0.0)
    breaker.failed(Unreachable("gone"))
    monkeypatch.setattr(reach, "PAUSE", 30.0)
    breaker.check()
    with pytest.raises(EngineUnavailable, match="gone"):  # one goes ahead, and the others wait
        breaker.check()
    breaker.succeeded()
    breaker.failed(Unreachable("gone"))
    breaker.check()  # one failure is none in a row
