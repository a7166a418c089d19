"""Modal's app with the tiny model, deployed to a control plane by the real CLI."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import modal
import numpy as np
import pytest
from modal_proto import api_pb2 as api

from gpu import codec, pcm
from gpu.tests import tiny
from gpu.tests.conftest import WriteWav
from gpu.tests.modal.containers import Call
from gpu.tests.modal.control_plane import ControlPlane
from gpu.types import Audio, Segment, Span, Word
from transcodio_site.testing import ROOT, WAIT_S, Media

MODAL = [sys.executable, "-m", "modal"]
Run = Callable[..., subprocess.CompletedProcess[str]]
Calls = Callable[[], list[Call]]


def never() -> bool:
    return False


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "stt-tiny"
    tiny.save(folder)
    return folder


@pytest.fixture(scope="session")
def running_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One control plane for all tests: the client of this process only uses the first one."""
    plane = ControlPlane(tmp_path_factory.mktemp("modal"))
    plane.start()
    yield plane
    plane.stop()
    plane.kill_containers()


@pytest.fixture(scope="module")
def plane(running_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The running control plane; the client of this process is configured to use it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in running_plane.client_environment().items():
            patch.setenv(name, value)
        yield running_plane


@pytest.fixture(scope="module")
def cli(plane: ControlPlane, model: Path) -> Run:
    """Runs `modal ...` as the README says, with the tiny model in place of the real one."""
    settings = {"STT_MODEL_ID": str(model), "MODAL_STT_DEVICE": "cpu", "STT_ROWS": "4"}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MODAL, *arguments],
            cwd=ROOT,
            env=os.environ | settings | more,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
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
    """90 seconds of noise, with three spans of speech."""
    noise = np.random.default_rng(4).standard_normal(90 * pcm.SAMPLE_RATE_HZ) * 3000
    path = write_wav(noise.astype(np.int16))
    return Audio(path, 90.0, (Span(2, 30), Span(32, 60), Span(62, 86)))


@pytest.fixture
def remote(deployed: ControlPlane) -> Any:
    """The deployed class, looked up as in any program."""
    return modal.Cls.from_name("transcodio-app", "KyutaiSTTModel")()


def words_of(events: list[Any]) -> list[Word]:
    return [word for event in events if isinstance(event, Segment) for word in event.words]


def messages_of(call: Call) -> list[dict[str, Any]]:
    """The messages of a call, without the end marker."""
    chunks = (c for c in call.chunks if c.data_format != api.DATA_FORMAT_GENERATOR_DONE)
    return [json.loads(pickle.loads(chunk.data)) for chunk in chunks]  # noqa: S301 - our own


def outcome_of(call: Call) -> str:
    """`complete`, or the code of its error; empty if it has not ended."""
    if call.output is None:
        return ""
    last = messages_of(call)[-1]
    return str(last.get("code", last["type"]))


@pytest.fixture
def new_calls(deployed: ControlPlane) -> Calls:
    """A function that gives the calls that were made since the test began."""
    before = len(deployed.calls)
    return lambda: list(deployed.calls.values())[before:]


@pytest.fixture(autouse=True)
def no_call_outlives_its_test(running_plane: ControlPlane) -> Iterator[None]:
    """Otherwise a container could answer it during the next test."""
    yield
    running_plane.end_calls()


@pytest.fixture(scope="module")
def short(media: Media) -> Path:
    return media.speech("short.mp3", 6)


@pytest.fixture
def noise() -> bytes:
    """Twelve seconds."""
    samples = np.random.default_rng(2).standard_normal(12 * pcm.SAMPLE_RATE_HZ) * 3000
    return codec.encode(samples.astype(np.int16))
