"""Messages of the app at Modal as events: the reverse of `gpu.serving.message_of`."""

from __future__ import annotations

import math
from typing import Any

from gpu.modal.calls import usage_from_message
from gpu.types import (
    Complete,
    EngineEvent,
    LiveEvent,
    Metadata,
    Partial,
    Segment,
    TurnEnded,
    TurnStarted,
    Word,
    error_from_message,
)


def live_event_from_message(message: dict[str, Any]) -> LiveEvent:
    """The event of a message of a live session. Raises the EngineError that it reports."""
    match message["type"]:
        case "turn_started":
            return TurnStarted(message["start"])
        case "turn_ended":
            return TurnEnded(message["end"], message["commit"])
        case _:
            return event_from_message(message)


def event_from_message(
    message: dict[str, Any], start: float = 0.0, end: float = math.inf
) -> EngineEvent:
    """The event of a message; times are moved by `start` and limited to `end` (seconds).

    Raises the EngineError that the message reports.
    """
    match message["type"]:
        case "metadata":
            return Metadata(message["language"], message["model"])
        case "partial":
            return Partial(_words(message, start, end), message.get("tentative", 0))
        case "segment":
            return Segment(_words(message, start, end))
        case "usage":
            return usage_from_message(message)
        case "complete":
            return Complete(
                message["audio_seconds"],
                message["gpu_seconds"],
                message["queue_seconds"],
                message["load_seconds"],
                message["gpu"],
            )
        case _:
            raise error_from_message(message)


def _words(message: dict[str, Any], start: float, end: float) -> tuple[Word, ...]:
    def moved(time: float) -> float:
        return round(min(time + start, end), 3)

    return tuple(Word(moved(w["start"]), moved(w["end"]), w["text"]) for w in message["words"])
