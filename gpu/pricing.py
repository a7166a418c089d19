"""The cost of GPU time: Modal's prices in July 2026, in USD per second."""

from __future__ import annotations

from gpu import config
from gpu.types import Complete

USD_PER_GPU_SECOND = {
    "T4": 0.000164,
    "L4": 0.000222,
    "A10": 0.000306,
    "L40S": 0.000542,
    "A100-40GB": 0.000583,
    "A100-80GB": 0.000694,
    "H100": 0.001097,
    "H200": 0.001261,
    "B200": 0.001736,
}
ALIASES = {"A10G": "A10", "A100": "A100-40GB"}
USD_PER_CORE_SECOND, USD_PER_GIB_SECOND = 0.0000131, 0.00000222


def usd_per_second(
    gpu: str, cores: float = config.MODAL_CORES, memory_gib: float = config.MODAL_MEMORY_GIB
) -> float | None:
    """The price of a container with that GPU, its cores and memory; None if it is not known.

    `gpu` is written as for Modal: `L4`, `a10g`, `H100!` for exactly this type, `L40S:2` for two of
    them; empty for none.
    """
    container = cores * USD_PER_CORE_SECOND + memory_gib * USD_PER_GIB_SECOND
    if not gpu:
        return container
    if config.MODAL_USD_PER_GPU_SECOND:
        return config.MODAL_USD_PER_GPU_SECOND
    name, _, count = gpu.upper().partition(":")
    name = name.rstrip("!+")
    price = USD_PER_GPU_SECOND.get(ALIASES.get(name, name))
    return None if price is None else price * int(count or 1) + container


def cost(usage: Complete) -> float | None:
    """USD for one recording, for its share of the GPU; None if the GPU is not paid by the second.

    The start of a container, and its idle time before it stops, cost money too. They are not
    charged to any recording.
    """
    price = usd_per_second(usage.gpu) if usage.gpu else None
    return None if price is None else price * usage.decode_seconds


def usd_per_audio_minute(usd_per_second: float, rtfx: float) -> float:
    """The price of a minute of audio on a machine that is `rtfx` times faster than real time."""
    return 60.0 * usd_per_second / rtfx
