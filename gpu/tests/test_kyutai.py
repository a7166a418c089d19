"""The decoder says, token for token, what `generate()` of transformers says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gpu.kyutai import MOST_ROWS, Checkpoint, RingDecoder, bytes_per_row, rows_that_fit
from gpu.tests import tiny
from gpu.types import EngineUnavailable
from transcodio_site.testing import ROOT

Samples = np.ndarray[Any, Any]
WINDOW = 24  # frames of the tiny model's sliding window: all streams below are longer


def noise(seconds: float, seed: int) -> Samples:
    samples = np.random.default_rng(seed).standard_normal(int(seconds * 24_000)) * 0.1
    return samples.astype(np.float32)


STREAMS = [noise(seconds, seed) for seed, seconds in enumerate((1.0, 3.3, 5.0, 2.0, 7.7, 0.3))]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices gain nothing from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False  # a GPU's convolutions would differ with their shapes
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=tiny.DEVICES)
def checkpoint(request: pytest.FixtureRequest) -> Checkpoint:
    return tiny.checkpoint(window=WINDOW).to(request.param)


def generate(checkpoint: Checkpoint, samples: Samples) -> list[int]:
    """What transformers makes of it, encoding all audio at once."""
    inputs = tiny.processor()(audio=samples, sampling_rate=24_000).to(checkpoint.device)
    with torch.inference_mode():
        tokens = checkpoint.model.generate(**inputs, audio_window_size=None, disable_compile=True)
    return list(tokens[0, 1:].tolist())


@pytest.fixture(scope="module")
def expected(checkpoint: Checkpoint) -> list[list[int]]:
    return [generate(checkpoint, samples) for samples in STREAMS]


def decode(
    decoder: RingDecoder, checkpoint: Checkpoint, rows: dict[int, Samples]
) -> dict[int, list[int]]:
    """All of `rows` at once, from row to tokens."""
    said: dict[int, list[int]] = {row: [] for row in rows}
    left = {}
    for row, samples in rows.items():
        codes = checkpoint.encode(samples)
        decoder.join(row, codes)
        left[row] = len(codes)
    while left:
        tokens = decoder.step().tolist()
        for row in list(left):
            said[row].append(tokens[row])
            left[row] -= 1
            if not left[row]:
                decoder.leave(row)
                del left[row]
    return said


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    folder = tmp_path / "half"
    model = tiny.model()
    state = {k: v for k, v in model.state_dict().items() if "model.layers.1." not in k}
    model.save_pretrained(folder, state_dict=state)
    tiny.processor().save_pretrained(folder)
    with pytest.raises(EngineUnavailable, match="weights are missing"):
        Checkpoint.load(str(folder))


def test_the_streams_say_something(expected: list[list[int]]) -> None:
    assert all(len(tokens) > WINDOW for tokens in expected)
    assert all(len(set(tokens)) > 5 for tokens in expected)
    assert len({tuple(tokens) for tokens in expected}) == len(expected)


def test_alone_and_one_after_the_other_in_the_same_row(
    checkpoint: Checkpoint, expected: list[list[int]]
) -> None:
    decoder = RingDecoder(checkpoint, rows=3, longest=400)
    for samples, tokens in zip(STREAMS, expected, strict=True):
        assert decode(decoder, checkpoint, {1: samples})[1] == tokens


def test_side_by_side(checkpoint: Checkpoint, expected: list[list[int]]) -> None:
    decoder = RingDecoder(checkpoint, rows=len(STREAMS), longest=400)
    said = decode(decoder, checkpoint, dict(enumerate(STREAMS)))
    assert [said[row] for row in range(len(STREAMS))] == expected


def staggered(checkpoint: Checkpoint, decoder: RingDecoder) -> list[list[int]]:
    """Streams join three steps apart in two rows fewer than there are streams, as rows get free."""
    waiting = [(index, checkpoint.encode(samples)) for index, samples in enumerate(STREAMS)]
    said: list[list[int]] = [[] for _ in STREAMS]
    seats: dict[int, tuple[int, int]] = {}  # row: (stream, steps left)
    step = 0
    while waiting or seats:
        free = [row for row in range(decoder.rows) if row not in seats]
        if waiting and free and step % 3 == 0:
            index, codes = waiting.pop(0)
            decoder.join(free[0], codes)
            seats[free[0]] = (index, len(codes))
        tokens = decoder.step().tolist()
        for row, (index, left) in list(seats.items()):
            said[index].append(tokens[row])
            seats[row] = (index, left - 1)
            if left == 1:
                decoder.leave(row)
                del seats[row]
        step += 1
    return said


def test_joining_and_leaving_at_any_step(checkpoint: Checkpoint, expected: list[list[int]]) -> None:
    assert staggered(checkpoint, RingDecoder(checkpoint, rows=4, longest=400)) == expected


# --- Negative controls: the comparison above notices each of these mistakes ----------------------


class SharedPosition(RingDecoder):
    """All rows use the rotary position of the first."""

    def _rotation(
        self, position: torch.Tensor, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return super()._rotation(position[:1].expand_as(position), dtype)


class StaleMemory(RingDecoder):
    """What a former stream left in the ring is not masked."""

    def _seen(self, position: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(super()._seen(position))


class ShorterWindow(RingDecoder):
    """The ring is one slot shorter than the model's sliding window."""

    def __init__(self, checkpoint: Checkpoint, rows: int, longest: int) -> None:
        super().__init__(checkpoint, rows, longest)
        self.window -= 1
        self.keys, self.values = self.keys[..., :-1, :], self.values[..., :-1, :]
        self._slots = self._slots[:-1]
        if self._graphs:
            self._capture()


class LateCodes(RingDecoder):
    """The frames arrive one step late."""

    def join(self, row: int, codes: torch.Tensor) -> None:
        super().join(row, torch.cat((codes[:1], codes[:-1])))


class LateStart(RingDecoder):
    """A row begins where its former stream stopped."""

    def join(self, row: int, codes: torch.Tensor) -> None:
        position = self.position[row].clone()
        super().join(row, codes)
        self.position[row] = position % 3


@pytest.mark.parametrize(
    "broken", [SharedPosition, StaleMemory, ShorterWindow, LateCodes, LateStart]
)
def test_mistakes_are_noticed(
    checkpoint: Checkpoint,
    expected: list[list[int]],
    broken: Callable[[Checkpoint, int, int], RingDecoder],
) -> None:
    assert staggered(checkpoint, broken(checkpoint, 4, 400)) != expected


# --- What a CUDA graph can record ----------------------------------------------------------------


class OnTheDevice(TorchDispatchMode):
    """Refuses whatever touches a tensor elsewhere. On `meta` no value can be read either, as no
    graph can read one while it is recorded."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)]
        assert all(tensor.is_meta for tensor in tensors), f"{func} leaves the device"
        return out


class LooksAtPosition(RingDecoder):
    """The host waits for a value."""

    def _seen(self, position: torch.Tensor) -> torch.Tensor:
        return super()._seen(position.clamp(0, int(position.max())))


class ShapeByValue(RingDecoder):
    """How much is computed depends on what is there."""

    def _inputs(self, rows: int) -> torch.Tensor:
        return super()._inputs(rows)[self.active[:rows].nonzero().flatten()]


class TableOfTheHost(RingDecoder):
    """Something is copied from the host at each step."""

    def _seen(self, position: torch.Tensor) -> torch.Tensor:
        return super()._seen(position) & torch.ones(self.window, dtype=torch.bool).to("meta")


def record(kind: Callable[[Checkpoint, int, int], RingDecoder]) -> None:
    decoder = kind(tiny.checkpoint(window=WINDOW).to("meta"), 4, 100)
    decoder.join(2, torch.zeros(20, tiny.CODEBOOKS, dtype=torch.int32, device="meta"))
    token = decoder.token
    with OnTheDevice():
        assert decoder.step() is token  # a replay writes where the recording wrote


def test_a_step_has_fixed_shapes_and_never_leaves_the_device() -> None:
    record(RingDecoder)


@pytest.mark.parametrize("broken", [LooksAtPosition, ShapeByValue, TableOfTheHost])
def test_what_no_graph_can_record_is_noticed(
    broken: Callable[[Checkpoint, int, int], RingDecoder],
) -> None:
    with pytest.raises((RuntimeError, NotImplementedError, AssertionError)):
        record(broken)


# --- Encoding -----------------------------------------------------------------------------------


def test_encoding_in_chunks_gives_the_codes_of_one_pass(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = noise(9.0, seed=9)
    whole = checkpoint._padded(samples).to(checkpoint.device)
    with torch.inference_mode():
        once = checkpoint.model.codec_model.encode(whole[None, None]).audio_codes[0].T
    for chunk in (1, 3, 25, 125, 1000):
        monkeypatch.setattr("gpu.kyutai.CHUNK", chunk)
        codes = checkpoint.encode(samples)
        assert torch.equal(codes, once[: len(codes)])
        assert len(codes) == checkpoint.frames(9.0)
    assert len(codes.unique()) > 5


def test_silence_is_added_as_the_feature_extractor_does_it(checkpoint: Checkpoint) -> None:
    samples = noise(2.0, seed=3)
    theirs = tiny.processor()(audio=samples, sampling_rate=24_000)["input_values"]
    assert torch.equal(checkpoint._padded(samples), torch.as_tensor(theirs).flatten())


# --- Loading ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kyutai")
    tiny.model(window=WINDOW).save_pretrained(path)
    tiny.processor().save_pretrained(path)
    return path


def test_constants_come_from_the_checkpoint(folder: Path) -> None:
    loaded = Checkpoint.load(str(folder))
    assert loaded.timing.frame == pytest.approx(0.08)
    assert (loaded.timing.prefix, loaded.timing.delay) == (1.0, 2.5)
    assert (loaded.rate, loaded.frame_samples, loaded.padding) == (24_000, 1920, 3)
    assert RingDecoder(loaded, 1, 10).window == WINDOW


def test_a_loaded_model_says_the_same(folder: Path, expected: list[list[int]]) -> None:
    loaded = Checkpoint.load(str(folder))
    decoder = RingDecoder(loaded, 2, 400)
    assert decode(decoder, loaded, {0: STREAMS[1]})[0] == expected[1]


def test_half_precision_leaves_codec_and_rotation_alone(folder: Path) -> None:
    loaded = Checkpoint.load(str(folder), dtype=torch.bfloat16)
    assert loaded.model.lm_head.weight.dtype == torch.bfloat16
    assert next(loaded.model.codec_model.parameters()).dtype == torch.float32
    assert len(decode(RingDecoder(loaded, 1, 400), loaded, {0: STREAMS[0]})[0]) == 68


BEFORE_THE_SNAPSHOT = """
import sys, torch

def asked(*args, **options):
    sys.exit("it has asked for a GPU")

for name in ("is_available", "device_count", "current_device", "init", "_lazy_init"):
    setattr(torch.cuda, name, asked)
{first}
from gpu.kyutai_engine import KyutaiEngine
KyutaiEngine({folder!r}).load(half_precision=True)
print("loaded")
"""


@pytest.mark.parametrize("first", ["", "torch.cuda.is_available()"])
def test_what_a_snapshot_holds_has_never_asked_for_a_gpu(folder: Path, first: str) -> None:
    """None is there when Modal takes a snapshot, and a process that was told so may go on believing
    it when there is one (modal.com/docs/guide/memory-snapshots)."""
    code = BEFORE_THE_SNAPSHOT.format(folder=str(folder), first=first)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout == "loaded\n") == (not first), done.stderr


def test_a_model_that_is_not_there_is_named() -> None:
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
def test_what_the_library_would_make_up_must_be_stated(
    folder: Path, tmp_path: Path, changes: dict[str, Any], complaint: str | None
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    stated = json.loads((copy / "config.json").read_text()) | changes
    kept = {name: value for name, value in stated.items() if value is not None}
    (copy / "config.json").write_text(json.dumps(kept))
    with pytest.raises(EngineUnavailable, match=complaint) if complaint else nullcontext():
        Checkpoint.load(str(copy))


def test_a_cast_that_ruins_the_rotation_is_noticed() -> None:
    ruined = tiny.model().to(torch.bfloat16)
    with pytest.raises(EngineUnavailable, match="rotary frequencies"):
        Checkpoint(ruined, tiny.processor(), "ruined")


@pytest.mark.parametrize(
    ("room", "rows"), [(1.0, None), (1.2, 1), (8.0, 6), (12.0, 8), (100.0, 80), (1e9, MOST_ROWS)]
)
def test_rows_fill_the_memory_of_a_gpu(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, room: float, rows: int | None
) -> None:
    """`room` is what is free, in rows; 85 % of it are taken, in eights."""
    free = int(room * bytes_per_row(checkpoint, 100))
    monkeypatch.setattr(Checkpoint, "device", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2 * free))
    if rows is None:
        with pytest.raises(EngineUnavailable, match="not enough for a single stream"):
            rows_that_fit(checkpoint, 100)
    else:
        assert rows_that_fit(checkpoint, 100) == rows


def test_rows_are_chosen_and_their_memory_is_known(checkpoint: Checkpoint) -> None:
    assert rows_that_fit(checkpoint, 100) > 1
    decoder = RingDecoder(checkpoint, rows=5, longest=100)
    tensors = (decoder.keys, decoder.values, decoder.codes)
    held = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    assert held == 5 * bytes_per_row(checkpoint, 100)
