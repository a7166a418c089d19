"""The price of GPU seconds."""

from __future__ import annotations

import pytest

from gpu import config, pricing
from gpu.types import Complete

METER = Complete(audio_seconds=600, decode_seconds=10, load_seconds=30, gpu="L4")


def test_cost_is_a_share_of_gpu_cores_and_memory() -> None:
    second = 0.000222 + 2 * 0.0000131 + 12 * 0.00000222
    assert pricing.cost(METER) == pytest.approx(10 * second)
    minute = pricing.usd_per_audio_minute(second, rtfx=60)
    assert minute == pytest.approx(10 * second / 10)
    assert minute < 0.006 / 20  # the purpose of the service


def test_prices_are_sorted_and_unique() -> None:
    prices = [pricing.usd_per_second(gpu) or 0 for gpu in ("", *pricing.USD_PER_GPU_SECOND)]
    assert prices == sorted(set(prices))


@pytest.mark.parametrize(
    ("gpu", "plain"),
    [("l4", "L4"), ("A10G", "A10"), ("A100", "A100-40GB"), ("H100!", "H100"), ("B200+", "B200")],
)
def test_gpu_name_variants_have_the_same_price(gpu: str, plain: str) -> None:
    assert pricing.usd_per_second(gpu, 0, 0) == pricing.USD_PER_GPU_SECOND[plain]
    assert pricing.usd_per_second(f"{gpu}:2", 0, 0) == 2 * pricing.USD_PER_GPU_SECOND[plain]


def test_configured_price_replaces_the_list_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "MODAL_USD_PER_GPU_SECOND", 0.001)
    assert pricing.cost(METER) == pytest.approx(0.01)


def test_cost_is_none_without_a_known_gpu() -> None:
    assert pricing.cost(Complete(600, 10)) is None
    assert pricing.cost(Complete(600, 10, gpu="B9000")) is None
