"""Holds speech recognition open in a process that a test has started.

Python runs this module at the start of every process that has its folder on PYTHONPATH. As long as
the test has locked the file that HOLD_FILE names, a Kyutai decoder takes no step, and Whisper
yields no segment after the first. See `transcodio_site.testing.Hold`.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any


def wait_until_released() -> None:
    """Blocks in the kernel, without the GIL: the rest of the process goes on."""
    with Path(os.environ["HOLD_FILE"]).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)


def hold_kyutai(module: ModuleType) -> None:
    """Every step of the decoder waits."""
    decoder: Any = module
    step = decoder.RingDecoder.step

    def held_step(self: Any) -> Any:
        wait_until_released()
        return step(self)

    decoder.RingDecoder.step = held_step


def hold_whisper(module: ModuleType) -> None:
    """Every segment of a call waits, except for the first."""
    from gpu.types import Segment

    engine: Any = module
    stream = engine.WhisperEngine.stream

    def held_stream(self: Any, *arguments: Any) -> Iterator[Any]:
        segments = 0
        for event in stream(self, *arguments):
            if isinstance(event, Segment):
                segments += 1
                if segments > 1:
                    wait_until_released()
            yield event

    engine.WhisperEngine.stream = held_stream


HELD = {"gpu.kyutai": hold_kyutai, "gpu.whisper": hold_whisper}


class Finder:
    """Adds the waiting to those modules once they have been imported, and imports none itself."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        spec = PathFinder.find_spec(name, path, target) if name in HELD else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_hold(module: ModuleType) -> None:
            execute(module)
            HELD[name](module)

        spec.loader.exec_module = execute_and_hold  # type: ignore[method-assign]
        return spec


if "HOLD_FILE" in os.environ:
    sys.meta_path.insert(0, Finder)
