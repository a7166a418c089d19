"""The checkpoint is read without torch, and creates nothing but arrays."""

from __future__ import annotations

import pickle
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gpu.diarization import weights
from gpu.types import EngineUnavailable


def test_weights_are_those_that_torch_reads() -> None:
    path = distribution(weights.PACKAGE).locate_file("resemblyzer/pretrained.pt")
    expected = torch.load(str(path), map_location="cpu", weights_only=True)["model_state"]
    found = weights.voice_encoder()
    names = [name for name in expected if name.startswith(("lstm.", "linear."))]
    assert len(names) == 14
    for name in names:
        assert torch.equal(torch.from_numpy(found[name].copy()), expected[name])


class Harmful:
    """Would run code where a pickle is trusted."""

    def __reduce__(self) -> Any:
        return (print, ("run",))


def test_nothing_else_is_created(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"print is not expected"):
        weights._read(BytesIO(pickle.dumps(Harmful())))
    assert capsys.readouterr().out == ""


def test_damaged_weights_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    damaged = tmp_path / "pretrained.pt"
    damaged.write_bytes(b"\x00" * 100)
    found = SimpleNamespace(locate_file=lambda name: damaged)
    monkeypatch.setattr(weights, "distribution", lambda name: found)
    with pytest.raises(EngineUnavailable, match="are damaged: reinstall resemblyzer"):
        weights.voice_encoder()


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(weights, "distribution", missing)
    with pytest.raises(EngineUnavailable, match="pip install --no-deps resemblyzer"):
        weights.voice_encoder()
