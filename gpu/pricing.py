"""What GPU time costs. Prices as Modal listed them in July 2026, in USD per second."""

from __future__ import annotations

from gpu import config
from gpu.types import Complete

GPU = {
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
ALSO = {"A10G": "A10", "A100": "A100-40GB"}
CPU_CORE, MEMORY_GIB = 0.0000131, 0.00000222


def usd_per_second(
    gpu: str, cores: float = config.MODAL_CORES, memory_gib: float = config.MODAL_MEMORY_GIB
) -> float | None:
    """A container with that GPU ("" for none), its cores and memory; None if no price is known.

    `gpu` as Modal takes it: `L4`, `a10g`, `H100!` for no better one, `L40S:2` for two of them.
    """
    container = cores * CPU_CORE + memory_gib * MEMORY_GIB
    if not gpu:
        return container
    if config.MODAL_USD_PER_GPU_SECOND:
        return config.MODAL_USD_PER_GPU_SECOND
    name, _, count = gpu.upper().partition(":")
    name = name.rstrip("!+")
    price = GPU.get(ALSO.get(name, name))
    return None if price is None else price * int(count or 1) + container


def cost(meter: Complete) -> float | None:
    """USD for one recording: its share of the GPU. None if it is not paid by the second.

    Starting a container and idling before it stops are paid too, but by nobody in particular.
    """
    price = usd_per_second(meter.gpu) if meter.gpu else None
    return None if price is None else price * meter.decode_seconds


def usd_per_audio_minute(usd_per_second: float, rtfx: float) -> float:
    """What a minute of audio costs on a machine that works `rtfx` times faster than real time."""
    return 60.0 * usd_per_second / rtfx
