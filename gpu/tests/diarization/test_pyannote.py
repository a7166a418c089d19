"""DIARIZER=pyannote, with tiny random models, or with the stand-in for the package."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gpu import pcm
from gpu.diarization import pyannote
from gpu.diarization.clustering import SpeakerLimits
from gpu.diarization.pyannote import PyannoteDiarizer, turns_and_voices
from gpu.diarization.types import Diarization, Turn
from gpu.tests.diarization.package import stand_ins
from gpu.tests.modal import hub
from gpu.types import Audio, Cancelled, DeviceLost, EngineError, EngineUnavailable, OutOfMemory
from transcodio_site.testing import ROOT, WAIT_S

ANY = SpeakerLimits()
Run = Callable[[Callable[..., None]], Any]


def never() -> bool:
    return False


def diarize(diarizer: PyannoteDiarizer, audio: Audio, limits: SpeakerLimits = ANY) -> Diarization:
    *_, last = diarizer.stream(audio, limits, never)
    return last


@pytest.fixture
def diarizer(pyannote_model: str, pyannote_package: None) -> PyannoteDiarizer:
    return PyannoteDiarizer(pyannote_model, "cpu")


def nobody(hook: Callable[..., None]) -> Any:
    """An output without speakers."""
    nothing = SimpleNamespace(itertracks=lambda yield_label: iter(()), labels=list)
    return SimpleNamespace(speaker_diarization=nothing, speaker_embeddings=None)


@dataclass
class Scripted:
    """A pipeline that calls a function. `calls` has what it was called with."""

    run: Run = nobody
    calls: list[dict[str, Any]] = field(default_factory=list)
    loads: int = 0

    def __call__(self, file: dict[str, Any], hook: Callable[..., None], **limits: Any) -> Any:
        self.calls.append(file | limits)
        return self.run(hook)

    def to(self, device: Any) -> None:
        """Does nothing: it is on every device."""

    def load(self, source: str) -> Scripted:
        self.loads += 1
        return self


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """The pipeline of each diarizer."""
    scripted = Scripted()
    monkeypatch.setattr(pyannote, "_load", scripted.load)
    return scripted


# --- Results --------------------------------------------------------------------------------------


def test_turns_may_overlap_and_speakers_are_numbered_as_they_first_speak(
    diarizer: PyannoteDiarizer, tones: Audio
) -> None:
    last = diarize(diarizer, tones, SpeakerLimits(2, 3))
    assert (last.is_final, last.until) == (True, tones.duration)
    assert [turn.start for turn in last.turns] == sorted(turn.start for turn in last.turns)
    assert all(0 <= turn.start < turn.end <= tones.duration for turn in last.turns)
    first = [turn.speaker for turn in last.turns]
    speakers = sorted(set(first), key=first.index)
    assert speakers == [*range(1, len(speakers) + 1)]
    assert len(speakers) >= 2
    assert any(b.start < a.end and b.speaker != a.speaker for a in last.turns for b in last.turns)
    assert {*last.voices} <= {*speakers}
    assert all(np.linalg.norm(voice) == pytest.approx(1) for voice in last.voices.values())
    assert last.usage
    assert (last.usage.decode_seconds > 0, last.usage.gpu) == (True, "")


def test_recordings_take_turns_and_do_not_disturb_each_other(
    diarizer: PyannoteDiarizer, tones: Audio
) -> None:
    alone = diarize(diarizer, tones)
    found: list[Diarization] = []

    def run() -> None:
        found.append(diarize(diarizer, tones))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert [(each.turns, each.voices) for each in found] == [(alone.turns, alone.voices)] * 3


def test_output_becomes_turns_and_voices_of_those_who_speak() -> None:
    tracks = [(0.5, 3.0, "B"), (2.0, 4.0, "A"), (4.0, 4.0, "C"), (9.5, 10.3, "B"), (11, 12, "D")]
    annotation = SimpleNamespace(
        itertracks=lambda yield_label: (
            (SimpleNamespace(start=start, end=end), "_", label) for start, end, label in tracks
        ),
        labels=lambda: ["A", "B", "C", "D"],
    )
    vectors = np.array([[0.0, 0.0], [3.0, 4.0], [1.0, 0.0], [1.0, 0.0]])
    output = SimpleNamespace(speaker_diarization=annotation, speaker_embeddings=vectors)
    turns, voices = turns_and_voices(output, 10.0)
    assert turns == (Turn(0.5, 3.0, 1), Turn(2.0, 4.0, 2), Turn(9.5, 10.0, 1))
    assert voices == {1: (0.6, 0.8)}  # that of A is unknown
    output.speaker_embeddings = None
    assert turns_and_voices(output, 10.0) == (turns, {})


def test_pipeline_gets_all_of_the_recording_and_the_limits(
    pipeline: Scripted, tones: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyannote, "BLOCK_S", 5)
    diarize(PyannoteDiarizer("scripted", "cpu"), tones, SpeakerLimits(2, 4))
    (call,) = pipeline.calls
    assert (call["min_speakers"], call["max_speakers"], call["sample_rate"]) == (2, 4, 16_000)
    samples = call["waveform"].numpy()
    assert samples.shape == (1, 12 * 16_000)
    expected = pcm.read_resampled(tones.path, 0.0, 12.0, 16_000)
    is_same = np.abs(samples[0, : len(expected)] - expected[: samples.shape[1]]) < 1e-3
    assert is_same.mean() > 0.999  # except at the edges of the blocks


def test_recording_without_speech_has_no_speakers(pipeline: Scripted, tones: Audio) -> None:
    silent = replace(tones, spans=())
    found = list(PyannoteDiarizer("scripted", "cpu").stream(silent, ANY, never))
    assert found == [Diarization((), 12.0, is_final=True)]
    assert pipeline.loads == 0


def test_signs_of_life_come_while_another_recording_is_worked_on(
    pipeline: Scripted, tones: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyannote, "SIGN_OF_LIFE_S", 0.0)
    may_end = threading.Event()

    def run(hook: Callable[..., None]) -> Any:
        while not may_end.wait(0.01):
            hook("segmentation", None)
        return nobody(hook)

    pipeline.run = run
    diarizer = PyannoteDiarizer("scripted", "cpu")
    streams = [diarizer.stream(tones, ANY, never) for _ in range(2)]
    for stream in streams:
        alive = next(stream)
        assert (alive.turns, alive.until, alive.is_final) == ((), 0.0, False)
    assert len(pipeline.calls) == 1
    may_end.set()
    assert [list(stream)[-1].is_final for stream in streams] == [True, True]


# --- Cancellation ---------------------------------------------------------------------------------


@pytest.mark.covers("fault", "A recording is cancelled while pyannote works on it")
def test_pipeline_is_stopped_after_its_step(pipeline: Scripted, tones: Audio) -> None:
    begun, ended = threading.Event(), threading.Event()

    def run(hook: Callable[..., None]) -> None:
        begun.set()
        try:
            while not ended.wait(0.01):
                hook("embeddings", None, completed=1, total=2)
        finally:
            ended.set()

    pipeline.run = run
    with pytest.raises(Cancelled):
        list(PyannoteDiarizer("scripted", "cpu").stream(tones, ANY, begun.is_set))
    assert ended.is_set()


def test_recording_that_waits_for_another_one_can_be_cancelled(
    pipeline: Scripted, tones: Audio
) -> None:
    diarizer = PyannoteDiarizer("scripted", "cpu")
    with diarizer.working, pytest.raises(Cancelled):
        list(diarizer.stream(tones, ANY, lambda: True))
    assert pipeline.calls == []
    assert diarize(diarizer, tones).is_final


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.covers("fault", "The GPU fails or is full while pyannote uses it")
@pytest.mark.parametrize(
    ("error", "kind", "loads"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemory, 1),
        (MemoryError("batch_size is probably too large"), OutOfMemory, 1),
        (RuntimeError("CUDA error: unspecified launch failure"), DeviceLost, 2),
        (ValueError("odd"), EngineError, 1),
    ],
)
def test_failure_is_reported_by_kind_and_a_lost_device_is_used_anew(
    pipeline: Scripted, tones: Audio, error: Exception, kind: type[EngineError], loads: int
) -> None:
    def run(hook: Callable[..., None]) -> None:
        raise error

    pipeline.run = run
    diarizer = PyannoteDiarizer("scripted", "cpu")
    with pytest.raises(kind, match=r"pyannote\.audio has failed") as caught:
        diarize(diarizer, tones)
    assert type(caught.value) is kind
    pipeline.run = nobody
    assert diarize(diarizer, tones).is_final
    assert pipeline.loads == loads


def test_missing_package_is_reported_with_the_command_to_run(
    monkeypatch: pytest.MonkeyPatch, tones: Audio
) -> None:
    for name in ("pyannote", "pyannote.audio"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineUnavailable, match=r"pip install '\.\[pyannote\]'"):
        diarize(PyannoteDiarizer("/nonexistent", "cpu"), tones)


def test_folder_without_a_pipeline_is_named(
    pyannote_package: None, tmp_path: Path, tones: Audio
) -> None:
    with pytest.raises(EngineUnavailable, match=f"PYANNOTE_MODEL='{tmp_path}' cannot be loaded"):
        diarize(PyannoteDiarizer(str(tmp_path), "cpu"), tones)


def test_device_that_does_not_exist_is_named(
    pyannote_package: None, pyannote_model: str, tones: Audio
) -> None:
    with pytest.raises(EngineError, match="STT_DEVICE=abacus cannot be used"):
        diarize(PyannoteDiarizer(pyannote_model, "abacus"), tones)


def error_with(environment: dict[str, str], source: str, package: Path | None = None) -> str:
    """What a new process prints, with these variables and the package in this folder, when it loads
    this pipeline."""
    code = (
        "import sys; from gpu.diarization.pyannote import PyannoteDiarizer\n"
        "try: PyannoteDiarizer(sys.argv[1], 'cpu').load()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    path = os.pathsep.join([str(ROOT), *([str(package)] if package else stand_ins())])
    done = subprocess.run(
        [sys.executable, "-c", code, source],
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_torchaudio_for_another_torch_is_reported(tmp_path: Path) -> None:
    package = tmp_path / "pyannote" / "audio"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "__init__.py").write_text("raise OSError('Could not load this library')")
    said = error_with({}, "pyannote/speakers", tmp_path)
    assert said.startswith("EngineUnavailable DIARIZER=pyannote needs pyannote.audio: pip install")
    assert "Could not load this library" in said


@pytest.mark.covers("fault", "The weights of pyannote are missing, and cannot be downloaded")
def test_weights_with_conditions_are_reported_with_what_to_do(tmp_path: Path) -> None:
    with hub.serving(tmp_path, "pyannote/speakers", is_gated=True) as url:
        said = error_with({"HF_ENDPOINT": url, "HF_HOME": str(tmp_path)}, "pyannote/speakers")
    assert "EngineUnavailable PYANNOTE_MODEL='pyannote/speakers' cannot be loaded" in said
    assert "accept its conditions at https://huggingface.co/pyannote/speakers" in said
    assert "set HF_TOKEN" in said


def test_hub_that_cannot_be_reached_is_reported(tmp_path: Path) -> None:
    away = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}  # fails immediately, not after 20 s
    said = error_with(away, "pyannote/speakers")
    assert "EngineUnavailable PYANNOTE_MODEL='pyannote/speakers' cannot be loaded" in said
    assert "huggingface.co cannot be reached" in said


@pytest.mark.covers("attack", "A pipeline would send recordings to a service of its developers")
def test_pipeline_that_is_not_run_here_is_refused(
    pyannote_package: None, pyannote_model: str, monkeypatch: pytest.MonkeyPatch, tones: Audio
) -> None:
    from pyannote.audio import Pipeline

    monkeypatch.setattr(Pipeline, "from_pretrained", lambda source: SimpleNamespace())
    with pytest.raises(EngineUnavailable, match="SimpleNamespace, and not a SpeakerDiarization"):
        diarize(PyannoteDiarizer(pyannote_model, "cpu"), tones)


@pytest.mark.covers("attack", "pyannote.audio reports the length of recordings to its developers")
def test_nothing_is_reported_to_the_makers_of_the_package(
    diarizer: PyannoteDiarizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYANNOTE_METRICS_ENABLED", "1")
    diarizer.load()
    assert os.environ["PYANNOTE_METRICS_ENABLED"] == "0"
