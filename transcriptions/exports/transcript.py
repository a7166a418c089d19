"""What is exported. Free of Django."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Transcript:
    """The segments as the API returns them, and facts about the recording."""

    title: str
    language: str
    duration: float
    segments: Sequence[dict[str, Any]]  # {"id", "start", "end", "text", "words"}
