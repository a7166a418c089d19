"""What all diarizers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gpu.diarization.clustering import SpeakerLimits
from gpu.types import Audio, UsageDelta


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one speaker speaks, in seconds from the start of the recording."""

    start: float
    end: float
    speaker: int  # from 1, in the order in which speakers first speak
    is_quieter: bool = False  # than somebody who speaks at the same time


@dataclass(frozen=True, slots=True)
class Diarization:
    """The turns of the speech before `until` (seconds), in order of their start.

    Only the turns of a recording's last result are final: before it, speakers may still be merged,
    split and renumbered. Turns overlap where several people speak, if the diarizer detects this.
    Voices of different diarizers cannot be compared.
    """

    turns: tuple[Turn, ...]
    until: float
    is_final: bool = False
    voices: Mapping[int, tuple[float, ...]] = field(default_factory=dict)  # by speaker
    usage: UsageDelta | None = None  # so far; None: the CPU time of the caller's thread


class Diarizer(Protocol):
    """Tells speakers apart. One instance serves all threads of a process."""

    name: str

    def stream(
        self, audio: Audio, limits: SpeakerLimits, stopped: Callable[[], bool]
    ) -> Iterator[Diarization]:
        """Yields results for more and more of the speech; the last one is for all of it. Results
        with `until` 0 only report progress.

        Raises Cancelled once `stopped()` returns true, and other kinds of EngineError.
        """
        ...
