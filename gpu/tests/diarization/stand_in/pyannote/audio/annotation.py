"""Who speaks when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stretch:
    """In seconds."""

    start: float
    end: float


class Annotation:
    def __init__(self, tracks: list[tuple[Stretch, str]]) -> None:
        self._tracks = tracks

    def itertracks(self, yield_label: bool) -> Iterator[tuple[Stretch, str, str]]:
        for number, (stretch, label) in enumerate(self._tracks):
            yield stretch, str(number), label

    def labels(self) -> list[str]:
        return sorted({label for _, label in self._tracks})
