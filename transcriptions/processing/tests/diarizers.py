"""A diarizer for tests of processing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connections

from gpu.diarization.clustering import SpeakerLimits
from gpu.diarization.types import Diarization, Turn
from gpu.types import Audio, Cancelled

FINAL = Diarization((Turn(0.0, 2.0, 1), Turn(2.0, 10.0, 2)), 10.0, is_final=True)


@dataclass
class ScriptedDiarizer:
    """Yields results; `before[n]` runs before the n-th, counted from 1. `calls` has the audio and
    the limits of each call, and `yielded` how many results the caller has taken."""

    results: list[Diarization] = field(default_factory=lambda: [FINAL])
    before: dict[int, Callable[[], Any]] = field(default_factory=dict)
    calls: list[tuple[Audio, SpeakerLimits]] = field(default_factory=list)
    yielded: int = 0
    stopped: Callable[[], bool] = bool
    name: str = "scripted"

    def stream(
        self, audio: Audio, limits: SpeakerLimits, stopped: Callable[[], bool]
    ) -> Iterator[Diarization]:
        """See `gpu.diarization.types.Diarizer`."""
        self.calls.append((audio, limits))
        self.stopped = stopped
        try:
            for number, result in enumerate(self.results, 1):
                self.before.get(number, lambda: None)()
                if stopped():
                    raise Cancelled("as asked")
                yield result
                self.yielded += 1
        finally:
            connections.close_all()  # `before` may have used the database in this thread
