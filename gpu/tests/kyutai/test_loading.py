"""Loading a checkpoint of Kyutai STT, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from gpu.kyutai.checkpoint import Checkpoint
from gpu.kyutai.ring_decoder import RingDecoder
from gpu.tests import tiny
from gpu.types import EngineUnavailable
from transcodio_site.testing import ROOT

WINDOW = 24  # frames of the tiny model's sliding window


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kyutai")
    tiny.save(path, WINDOW)
    return path


def test_constants_are_read_from_the_checkpoint(folder: Path) -> None:
    loaded = Checkpoint.load(str(folder))
    assert loaded.timing.frame == pytest.approx(0.08)
    assert (loaded.timing.prefix, loaded.timing.delay) == (1.0, 2.5)
    assert (loaded.rate, loaded.frame_samples, loaded.padding) == (24_000, 1920, 3)
    assert RingDecoder(loaded, 1, 10).window == WINDOW


BEFORE_THE_SNAPSHOT = """
import sys, torch

def asked(*args, **options):
    sys.exit("it has looked for a GPU")

for name in ("is_available", "device_count", "current_device", "init", "_lazy_init"):
    setattr(torch.cuda, name, asked)
{first}
from gpu.kyutai.engine import KyutaiEngine
KyutaiEngine({folder!r}).load(half_precision=True)
print("loaded")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "first", ["", pytest.param("torch.cuda.is_available()", marks=pytest.mark.slow)]
)
def test_loading_before_a_snapshot_does_not_look_for_a_gpu(folder: Path, first: str) -> None:
    """There is none when Modal takes a snapshot, and a process that has looked for one may not find
    it later either (modal.com/docs/guide/memory-snapshots)."""
    code = BEFORE_THE_SNAPSHOT.format(folder=str(folder), first=first)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout == "loaded\n") == (not first), done.stderr


def test_missing_model_is_named() -> None:
    with pytest.raises(EngineUnavailable, match="STT_MODEL_ID='/nonexistent'"):
        Checkpoint.load("/nonexistent")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"rope_parameters": None}, "does not state rope_theta"),
        ({"rope_parameters": {"rope_type": "default"}}, "does not state rope_theta"),
        ({"model_type": "moshi"}, "of a 'moshi' model"),
        ({"rope_parameters": None, "rope_theta": 100_000.0}, None),
    ],
)
def test_config_without_required_values_is_refused(
    folder: Path, tmp_path: Path, changes: dict[str, Any], complaint: str | None
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    stated = json.loads((copy / "config.json").read_text()) | changes
    kept = {name: value for name, value in stated.items() if value is not None}
    (copy / "config.json").write_text(json.dumps(kept))
    with pytest.raises(EngineUnavailable, match=complaint) if complaint else nullcontext():
        Checkpoint.load(str(copy))


def test_rotary_frequencies_in_half_precision_are_refused() -> None:
    ruined = tiny.model().to(torch.bfloat16)
    with pytest.raises(EngineUnavailable, match="rotary frequencies"):
        Checkpoint(ruined, tiny.processor(), "ruined")
