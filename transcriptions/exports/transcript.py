"""The transcript that is exported. Imports no Django."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Transcript:
    """A transcript: segments as the API returns them, and facts about the recording."""

    title: str
    language: str
    duration: float  # seconds
    segments: Sequence[dict[str, Any]]  # as in SegmentOut; may have no words
