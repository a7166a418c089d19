"""A bad window fails one recording, a bad device fails all of them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

from gpu.kyutai.checkpoint import Checkpoint
from gpu.tests.kyutai.batching.conftest import (
    LONGEST_S,
    MakeBatcher,
    MakeGate,
    begin,
    decode_alone,
    window,
    windows,
)
from gpu.types import DeviceLost, EngineError, OutOfMemory
from gpu.windows import Window
from transcodio_site.testing import WAIT_S


def test_unreadable_window_fails_only_its_recording(
    checkpoint: Checkpoint, batcher: MakeBatcher
) -> None:
    def broken() -> Any:
        raise OSError("the disk is gone")

    shared = batcher(rows=3)
    good = [shared.submit(windows(3, seed=10 * n)) for n in range(4)]
    bad = shared.submit([*windows(1), Window(10.0, broken), *windows(2)])
    with pytest.raises(EngineError, match="the disk is gone"):
        list(bad.words())
    for n, job in enumerate(good):
        expected = [w for one in windows(3, seed=10 * n) for w in decode_alone(checkpoint, one)]
        assert list(job.words()) == expected


def test_too_long_window_fails_only_its_recording(batcher: MakeBatcher) -> None:
    shared = batcher(rows=3)
    good = shared.submit(windows(6))
    with pytest.raises(EngineError, match=r"12\.0 s, the maximum is 8 s"):
        list(shared.submit([window(12.0, seed=1)]).words())
    assert list(good.words())


def test_decoder_failure_reaches_every_reader(
    batcher: MakeBatcher, gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = batcher(rows=2)
    held = gate(shared)
    begun = begin(shared, held, windows(50, seconds=LONGEST_S))
    jobs = [begun, shared.submit(windows(50, seconds=LONGEST_S))]

    def lost() -> torch.Tensor:
        raise RuntimeError("device lost")

    monkeypatch.setattr(shared._decoder, "step", lost)
    held.open()
    for job in jobs:
        with pytest.raises(EngineError, match="device lost"):
            list(job.words())


def test_failed_join_fails_its_recording_and_the_next_one_is_decoded(
    batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = batcher(rows=2)
    with monkeypatch.context() as broken:
        broken.setattr(shared._decoder, "join", lambda row, codes: 1 / 0)
        with pytest.raises(EngineError, match="ZeroDivisionError"):
            list(shared.submit(windows(2), deadline=WAIT_S).words())
    assert list(shared.submit(windows(2), deadline=WAIT_S).words())


@pytest.mark.parametrize("where", ["step", "join"])
def test_full_gpu_memory_is_reported_as_out_of_memory(
    batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    shared = batcher(rows=2)
    monkeypatch.setattr(shared._decoder, where, full)
    with pytest.raises(OutOfMemory, match="CUDA out of memory"):
        list(shared.submit(windows(1), deadline=WAIT_S).words())
    assert not shared.is_lost


def test_lost_device_fails_all_recordings_and_does_not_block_close(
    batcher: MakeBatcher, gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    shared = batcher(rows=2)
    held = gate(shared)
    begun = begin(shared, held, windows(50, seconds=LONGEST_S))
    for name in ("step", "join", "leave"):
        monkeypatch.setattr(shared._decoder, name, lost)
    held.open()
    for job in (begun, shared.submit(windows(3), deadline=WAIT_S)):
        with pytest.raises(EngineError, match="illegal memory access"):
            list(job.words())
    assert shared.is_lost
    closing = threading.Thread(target=shared.close)
    closing.start()
    closing.join(WAIT_S)
    assert not closing.is_alive()


def test_device_lost_while_encoding_is_noticed(
    batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered")

    shared = batcher(rows=2)
    monkeypatch.setattr(shared.checkpoint, "encode", lost)
    with pytest.raises(DeviceLost, match=r"could not be encoded.*ECC"):
        list(shared.submit(windows(1), deadline=WAIT_S).words())
    assert shared.is_lost
