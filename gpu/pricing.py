"""What GPU time costs. Prices as Modal listed them in July 2026, in USD per second."""

from __future__ import annotations

GPU = {"T4": 0.000164, "L4": 0.000222, "A10": 0.000306, "H100": 0.001097}
CPU_CORE, MEMORY_GIB = 0.0000131, 0.00000222


def usd_per_second(gpu: str, cores: float = 1.0, memory_gib: float = 8.0) -> float | None:
    """A container with that GPU ("" for none), its cores and memory; None if no price is known."""
    if gpu and gpu not in GPU:
        return None
    return GPU.get(gpu, 0.0) + cores * CPU_CORE + memory_gib * MEMORY_GIB


def usd_per_audio_minute(usd_per_second: float, rtfx: float) -> float:
    """What a minute of audio costs on a machine that works `rtfx` times faster than real time."""
    return 60.0 * usd_per_second / rtfx
