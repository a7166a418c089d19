"""Controls speech recognition in a process that a test has started.

Python runs this module at the start of every process that has its folder on PYTHONPATH. As long as
the test has locked the file that HOLD_FILE names, neither a Kyutai decoder nor pyannote takes a
step, Whisper yields no segment after the first, and the embedded diarizer no final result. Whisper
also recognizes the same audio only once. See `transcodio_site.testing.Hold`. With
DETERMINISTIC_ENGINE, there is no speech recognition at all: see `deterministic_engine`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32


def wait_until_released() -> None:
    """Blocks in the kernel, without the GIL: the rest of the process continues."""
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
    stream = recognizing_once(engine.WhisperEngine.stream)

    def held_stream(self: Any, audio: Any, stopped: Any) -> Iterator[Any]:
        segments = 0
        for event in stream(self, audio, stopped):
            if isinstance(event, Segment):
                segments += 1
                if segments > 1:
                    wait_until_released()
            yield event

    engine.WhisperEngine.stream = held_stream


def hold_diarizer(module: ModuleType) -> None:
    """The final result waits."""
    diarizer: Any = module
    stream = diarizer.EmbeddedDiarizer.stream

    def held_stream(self: Any, audio: Any, limits: Any, stopped: Any) -> Iterator[Any]:
        for found in stream(self, audio, limits, stopped):
            if found.is_final:
                wait_until_released()
            yield found

    diarizer.EmbeddedDiarizer.stream = held_stream


def hold_pyannote(module: ModuleType) -> None:
    """Every step of a pipeline waits."""
    diarizer: Any = module
    after_step = diarizer._Run._after_step

    def held_step(self: Any, *arguments: Any, **more: Any) -> None:
        wait_until_released()
        after_step(self, *arguments, **more)

    diarizer._Run._after_step = held_step


def recognizing_once(stream: Any) -> Any:
    """The same events again for audio that this process has recognized before: most tests upload
    the same recording, and are not about the engine."""
    from gpu.types import Cancelled, Complete

    recognized: dict[Any, list[Any]] = {}

    def once(self: Any, audio: Any, stopped: Callable[[], bool]) -> Iterator[Any]:
        key = (crc32(audio.path.read_bytes()), audio.spans, audio.language, audio.options)
        if key not in recognized:
            events = []
            for event in stream(self, audio, stopped):
                events.append(event)
                if isinstance(event, Complete):
                    recognized[key] = events
                yield event
            return
        for event in recognized[key]:
            if stopped():
                raise Cancelled("as asked")
            yield event

    return once


def replace_engines(module: ModuleType) -> None:
    """Every engine name selects the deterministic engine."""

    def create(name: str) -> Any:
        return import_module("deterministic_engine").DeterministicEngine()

    module._create = create  # type: ignore[attr-defined]


def fail_storage_on_request(module: ModuleType) -> None:
    """One file cannot be saved."""
    storage: Any = module
    save = storage.FileSystemStorage._save

    def failing_save(self: Any, name: str, content: Any) -> Any:
        if import_module("deterministic_engine").taken("storage") is not None:
            raise OSError(errno.EIO, "the storage was asked to fail")
        return save(self, name, content)

    storage.FileSystemStorage._save = failing_save


def move_django_clock(module: ModuleType) -> None:
    """The current time is moved by the seconds in the file `clock`."""
    timezone: Any = module
    timezone.now = lambda: datetime.fromtimestamp(time.time(), UTC)


def move_clock() -> None:
    """The same for `time.time`."""
    clock = time.time
    file = Path(os.environ["DETERMINISTIC_ENGINE"]) / "clock"

    def moved() -> float:
        try:
            return clock() + float(file.read_text())
        except FileNotFoundError:
            return clock()

    time.time = moved


CONTROLLED = {
    "gpu.kyutai.ring_decoder": hold_kyutai,
    "gpu.whisper": hold_whisper,
    "gpu.diarization.embedded": hold_diarizer,
    "gpu.diarization.pyannote": hold_pyannote,
}
if "DETERMINISTIC_ENGINE" in os.environ:
    CONTROLLED = {
        "gpu.engine": replace_engines,
        "django.utils.timezone": move_django_clock,
        "django.core.files.storage.filesystem": fail_storage_on_request,
    }
    move_clock()


class Finder:
    """Changes those modules once they have been imported, and imports none itself."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        spec = PathFinder.find_spec(name, path, target) if name in CONTROLLED else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            CONTROLLED[name](module)

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec


if "HOLD_FILE" in os.environ:  # a test has started this process
    sys.meta_path.insert(0, Finder)
