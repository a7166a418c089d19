"""RingDecoder outputs, token for token, what `generate()` of transformers outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gpu.kyutai.checkpoint import Checkpoint
from gpu.kyutai.ring_decoder import MAX_ROWS, RingDecoder, bytes_per_row, rows_that_fit
from gpu.tests import tiny
from gpu.types import EngineUnavailable

Samples = np.ndarray[Any, Any]
WINDOW = 24  # frames of the tiny model's sliding window: all streams below are longer


def noise(seconds: float, seed: int) -> Samples:
    samples = np.random.default_rng(seed).standard_normal(int(seconds * 24_000)) * 0.1
    return samples.astype(np.float32)


STREAMS = [noise(seconds, seed) for seed, seconds in enumerate((1.0, 3.3, 5.0, 2.0, 7.7, 0.3))]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices are not faster with more threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False  # convolutions on a GPU would differ by shape
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=tiny.DEVICES)
def checkpoint(request: pytest.FixtureRequest) -> Checkpoint:
    return tiny.checkpoint(window=WINDOW).to(request.param)


def generate(checkpoint: Checkpoint, samples: Samples) -> list[int]:
    """The tokens of transformers, which encodes all audio in one pass."""
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
    """Decodes the samples of all `rows` in parallel; returns the tokens by row."""
    tokens_of: dict[int, list[int]] = {row: [] for row in rows}
    left = {}
    for row, samples in rows.items():
        codes = checkpoint.encode(samples)
        decoder.join(row, codes)
        left[row] = len(codes)
    while left:
        tokens = decoder.step().tolist()
        for row in list(left):
            tokens_of[row].append(tokens[row])
            left[row] -= 1
            if not left[row]:
                decoder.leave(row)
                del left[row]
    return tokens_of


def test_missing_weights_are_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "half"
    model = tiny.model()
    state = {k: v for k, v in model.state_dict().items() if "model.layers.1." not in k}
    model.save_pretrained(folder, state_dict=state)
    tiny.processor().save_pretrained(folder)
    with pytest.raises(EngineUnavailable, match="weights are missing"):
        Checkpoint.load(str(folder))


def test_expected_tokens_differ_between_streams_and_steps(expected: list[list[int]]) -> None:
    assert all(len(tokens) > WINDOW for tokens in expected)
    assert all(len(set(tokens)) > 5 for tokens in expected)
    assert len({tuple(tokens) for tokens in expected}) == len(expected)


def test_streams_one_after_another_in_the_same_row_match_generate(
    checkpoint: Checkpoint, expected: list[list[int]]
) -> None:
    decoder = RingDecoder(checkpoint, rows=3, max_frames=400)
    for samples, tokens in zip(STREAMS, expected, strict=True):
        assert decode(decoder, checkpoint, {1: samples})[1] == tokens


def test_parallel_streams_match_generate(checkpoint: Checkpoint, expected: list[list[int]]) -> None:
    decoder = RingDecoder(checkpoint, rows=len(STREAMS), max_frames=400)
    output = decode(decoder, checkpoint, dict(enumerate(STREAMS)))
    assert [output[row] for row in range(len(STREAMS))] == expected


def staggered(checkpoint: Checkpoint, decoder: RingDecoder) -> list[list[int]]:
    """Streams join three steps apart, in fewer rows than there are streams, as rows become free."""
    waiting = [(index, checkpoint.encode(samples)) for index, samples in enumerate(STREAMS)]
    output: list[list[int]] = [[] for _ in STREAMS]
    running: dict[int, tuple[int, int]] = {}  # row: (stream, steps left)
    step = 0
    while waiting or running:
        free = [row for row in range(decoder.rows) if row not in running]
        if waiting and free and step % 3 == 0:
            index, codes = waiting.pop(0)
            decoder.join(free[0], codes)
            running[free[0]] = (index, len(codes))
        tokens = decoder.step().tolist()
        for row, (index, left) in list(running.items()):
            output[index].append(tokens[row])
            running[row] = (index, left - 1)
            if left == 1:
                decoder.leave(row)
                del running[row]
        step += 1
    return output


def test_streams_that_join_and_leave_at_any_step_match_generate(
    checkpoint: Checkpoint, expected: list[list[int]]
) -> None:
    assert staggered(checkpoint, RingDecoder(checkpoint, rows=4, max_frames=400)) == expected


# --- Negative controls: the comparison above notices each of these mistakes ----------------------


class SharedPosition(RingDecoder):
    """All rows use the rotary position of the first."""

    def _rotation(
        self, position: torch.Tensor, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return super()._rotation(position[:1].expand_as(position), dtype)


class StaleMemory(RingDecoder):
    """What an earlier stream left in the ring is not masked."""

    def _mask(self, position: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(super()._mask(position))


class ShorterWindow(RingDecoder):
    """The ring is one slot shorter than the model's sliding window."""

    def __init__(self, checkpoint: Checkpoint, rows: int, max_frames: int) -> None:
        super().__init__(checkpoint, rows, max_frames)
        self.window -= 1
        self.keys, self.values = self.keys[..., :-1, :], self.values[..., :-1, :]
        if self._graphs:
            self._capture()


class LateCodes(RingDecoder):
    """The frames arrive one step late."""

    def feed(self, row: int, first: int, codes: torch.Tensor) -> None:
        super().feed(row, first, torch.cat((codes[:1], codes[:-1])))


class LateStart(RingDecoder):
    """A row begins where its earlier stream stopped."""

    def join(self, row: int, codes: torch.Tensor | None = None) -> None:
        position = self.position[row].clone()
        super().join(row, codes)
        self.position[row] = position % 3


@pytest.mark.parametrize(
    "broken", [SharedPosition, StaleMemory, ShorterWindow, LateCodes, LateStart]
)
def test_comparison_with_generate_detects_mistakes(
    checkpoint: Checkpoint,
    expected: list[list[int]],
    broken: Callable[[Checkpoint, int, int], RingDecoder],
) -> None:
    assert staggered(checkpoint, broken(checkpoint, 4, 400)) != expected


# --- What a CUDA graph can capture ---------------------------------------------------------------


class OnTheDevice(TorchDispatchMode):
    """Refuses any operation with a tensor on another device.

    On `meta` no value can be read either, just as no graph can read one while it is captured.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)]
        assert all(tensor.is_meta for tensor in tensors), f"{func} leaves the device"
        return out


class LooksAtPosition(RingDecoder):
    """The host waits for a value."""

    def _mask(self, position: torch.Tensor) -> torch.Tensor:
        return super()._mask(position.clamp(0, int(position.max())))


class ShapeByValue(RingDecoder):
    """The shapes depend on values."""

    def _inputs(self, rows: int) -> torch.Tensor:
        return super()._inputs(rows)[self.active[:rows].nonzero().flatten()]


class CopiesFromHost(RingDecoder):
    """A table is copied from the host in each step."""

    def _mask(self, position: torch.Tensor) -> torch.Tensor:
        return super()._mask(position) + torch.zeros(self.window).to("meta")


def capture(kind: Callable[[Checkpoint, int, int], RingDecoder]) -> None:
    decoder = kind(tiny.checkpoint(window=WINDOW).to("meta"), 4, 100)
    decoder.join(2, torch.zeros(20, tiny.CODEBOOKS, dtype=torch.int32, device="meta"))
    token = decoder.token
    with OnTheDevice():
        assert decoder.step() is token  # a replay writes to the captured tensors


def test_step_has_fixed_shapes_and_does_not_leave_the_device() -> None:
    capture(RingDecoder)


@pytest.mark.parametrize("broken", [LooksAtPosition, ShapeByValue, CopiesFromHost])
def test_steps_that_no_graph_can_capture_are_detected(
    broken: Callable[[Checkpoint, int, int], RingDecoder],
) -> None:
    with pytest.raises((RuntimeError, NotImplementedError, AssertionError)):
        capture(broken)


# --- Encoding -----------------------------------------------------------------------------------


def test_encoding_in_chunks_equals_one_pass(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = noise(9.0, seed=9)
    whole = checkpoint._padded(samples).to(checkpoint.device)
    with torch.inference_mode():
        once = checkpoint.model.codec_model.encode(whole[None, None]).audio_codes[0].T
    for chunk in (1, 3, 25, 125, 1000):
        monkeypatch.setattr("gpu.kyutai.checkpoint.CHUNK_FRAMES", chunk)
        monkeypatch.setattr("gpu.kyutai.checkpoint.GPU_CHUNK_FRAMES", chunk)
        codes = checkpoint.encode(samples)
        assert len(codes) == checkpoint.frames(9.0)
        equal = (codes == once[: len(codes)]).float().mean()
        # Convolutions on a GPU round differently with each length, which moves a few codes.
        assert equal > 0.99 if codes.is_cuda else equal == 1
    assert len(codes.unique()) > 5


def test_padding_equals_that_of_the_feature_extractor(checkpoint: Checkpoint) -> None:
    samples = noise(2.0, seed=3)
    theirs = tiny.processor()(audio=samples, sampling_rate=24_000)["input_values"]
    assert torch.equal(checkpoint._padded(samples), torch.as_tensor(theirs).flatten())


# --- A loaded checkpoint -------------------------------------------------------------------------


def test_loaded_model_outputs_the_same_tokens(
    tmp_path: Path, checkpoint: Checkpoint, expected: list[list[int]]
) -> None:
    tiny.save(tmp_path, WINDOW)
    loaded = Checkpoint.load(str(tmp_path), checkpoint.device, torch.float32)
    decoder = RingDecoder(loaded, 2, 400)
    assert decode(decoder, loaded, {0: STREAMS[1]})[0] == expected[1]


def test_half_precision_keeps_codec_and_rotary_frequencies_in_float32(tmp_path: Path) -> None:
    tiny.save(tmp_path, WINDOW)
    loaded = Checkpoint.load(str(tmp_path), dtype=torch.bfloat16)
    assert loaded.model.lm_head.weight.dtype == torch.bfloat16
    assert next(loaded.model.codec_model.parameters()).dtype == torch.float32
    assert len(decode(RingDecoder(loaded, 1, 400), loaded, {0: STREAMS[0]})[0]) == 68


@pytest.mark.parametrize(
    ("room", "rows"), [(1.0, None), (1.2, 1), (8.0, 6), (12.0, 8), (100.0, 80), (1e9, MAX_ROWS)]
)
def test_number_of_rows_follows_from_free_gpu_memory(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, room: float, rows: int | None
) -> None:
    """`room` is the free memory in rows; 85 % of it are used, in multiples of eight."""
    free = int(room * bytes_per_row(checkpoint, 100))
    monkeypatch.setattr(Checkpoint, "device", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2 * free))
    if rows is None:
        with pytest.raises(EngineUnavailable, match="not enough for one stream"):
            rows_that_fit(checkpoint, 100)
    else:
        assert rows_that_fit(checkpoint, 100) == rows


def test_bytes_per_row_equal_the_allocated_tensors(checkpoint: Checkpoint) -> None:
    assert rows_that_fit(checkpoint, 100) > 1
    decoder = RingDecoder(checkpoint, rows=5, max_frames=100)
    tensors = (decoder.keys, decoder.values, decoder.codes)
    held = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    assert held == 5 * bytes_per_row(checkpoint, 100)
