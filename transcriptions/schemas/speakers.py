"""Speakers as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ninja import Schema
from pydantic import Field

from transcriptions.models.speaker import speaker_label


class SpeakerOut(Schema):
    """Somebody who speaks in a recording."""

    number: int = Field(description="That of `speaker` in segments and words")
    name: str | None = Field(description="Null until you name the speaker")
    label: str = Field(description="What to show: the name, or `Speaker 1`")
    seconds: float = Field(description="How long the words of this speaker are")


def speakers_of(names: Mapping[int, str], words: Iterable[dict[str, Any]]) -> list[SpeakerOut]:
    """In order of their numbers: all with an entry in `names`, empty or not, and those of stored
    words, who have none before processing has ended."""
    seconds = dict.fromkeys(names, 0.0)
    for word in words:
        if (number := word.get("speaker")) is not None:
            seconds[number] = seconds.get(number, 0.0) + word["end"] - word["start"]
    return [
        SpeakerOut(
            number=number,
            name=names.get(number) or None,
            label=speaker_label(number, names.get(number, "")),
            seconds=round(seconds[number], 3),
        )
        for number in sorted(seconds)
    ]
