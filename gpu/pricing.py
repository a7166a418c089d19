"""What GPU time costs. Prices as Modal listed them in July 2026, in USD per second."""

from __future__ import annotations

from gpu import config
from gpu.types import Complete

GPU = {"T4": 0.000164, "L4": 0.000222, "A10": 0.000306, "H100": 0.001097}
CPU_CORE, MEMORY_GIB = 0.0000131, 0.00000222


def usd_per_second(
    gpu: str, cores: float = config.MODAL_CORES, memory_gib: float = config.MODAL_MEMORY_GIB
) -> float | None:
    """A container with that GPU ("" for none), its cores and memory; None if no price is known."""
    if gpu and config.MODAL_USD_PER_GPU_SECOND:
        return config.MODAL_USD_PER_GPU_SECOND
    if gpu and gpu not in GPU:
        return None
    return GPU.get(gpu, 0.0) + cores * CPU_CORE + memory_gib * MEMORY_GIB


def cost(meter: Complete) -> float | None:
    """USD for one recording: its share of the GPU. None if it is not paid by the second.

    Starting a container and idling before it stops are paid too, but by nobody in particular.
    """
    price = usd_per_second(meter.gpu) if meter.gpu else None
    return None if price is None else price * meter.decode_seconds


def usd_per_audio_minute(usd_per_second: float, rtfx: float) -> float:
    """What a minute of audio costs on a machine that works `rtfx` times faster than real time."""
    return 60.0 * usd_per_second / rtfx
