"""Seconds of a GPU become money."""

from __future__ import annotations

import pytest

from gpu import config, pricing
from gpu.types import Complete

METER = Complete(audio_seconds=600, decode_seconds=10, load_seconds=30, gpu="L4")


def test_a_recording_costs_its_share_of_gpu_processor_and_memory() -> None:
    second = 0.000222 + 2 * 0.0000131 + 12 * 0.00000222
    assert pricing.cost(METER) == pytest.approx(10 * second)
    minute = pricing.usd_per_audio_minute(second, rtfx=60)
    assert minute == pytest.approx(10 * second / 10)
    assert minute < 0.006 / 20  # what the service is for


def test_a_better_gpu_costs_more() -> None:
    prices = [pricing.usd_per_second(gpu) or 0 for gpu in ("", *pricing.GPU)]
    assert prices == sorted(set(prices))


@pytest.mark.parametrize(
    ("gpu", "plain"),
    [("l4", "L4"), ("A10G", "A10"), ("A100", "A100-40GB"), ("H100!", "H100"), ("B200+", "B200")],
)
def test_a_gpu_has_its_price_by_all_of_its_names(gpu: str, plain: str) -> None:
    assert pricing.usd_per_second(gpu, 0, 0) == pricing.GPU[plain]
    assert pricing.usd_per_second(f"{gpu}:2", 0, 0) == 2 * pricing.GPU[plain]


def test_the_price_can_be_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "MODAL_USD_PER_GPU_SECOND", 0.001)
    assert pricing.cost(METER) == pytest.approx(0.01)


def test_what_is_not_paid_by_the_second_has_no_price() -> None:
    assert pricing.cost(Complete(600, 10)) is None
    assert pricing.cost(Complete(600, 10, gpu="B9000")) is None
