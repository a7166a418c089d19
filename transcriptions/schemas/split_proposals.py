"""A speaker who may be two people, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ninja import Schema
from pydantic import Field

from gpu import types
from transcriptions.models import Segment, SplitProposal

MAX_EXAMPLES = 3  # of each voice


class ExampleOut(Schema):
    """What a speaker says in one segment."""

    segment: int
    start: float
    end: float
    text: str


class ProposedVoiceOut(Schema):
    """One of two voices."""

    segments: list[int] = Field(description="Numbers of the segments")
    seconds: float = Field(description="Total duration of the speaker's words in them, in seconds")
    examples: list[ExampleOut] = Field(description="The longest segments, in order of time")


class SplitProposalOut(Schema):
    """Which segments of a speaker belong to which of two voices."""

    state: Literal["waiting", "ready", "failed"]
    error: str | None = Field(description="Why it failed")
    revision: int = Field(description="Revision of the transcript, to be sent with the split")
    clear: bool | None = Field(
        description="False if both may be one voice; null until they are compared"
    )
    voices: list[ProposedVoiceOut] = Field(
        description="First the one that keeps the number; empty until they are compared"
    )

    @classmethod
    def of(cls, proposal: SplitProposal, segments: Iterable[Segment]) -> SplitProposalOut:
        """From a row, and the segments of the transcript in order."""
        voices = list[ProposedVoiceOut]()
        if proposal.segments is not None:
            said = list(_said_by(proposal.number, segments))
            new = set(proposal.segments)
            voices = [
                _voice([each for each in said if each.segment not in new]),
                _voice([each for each in said if each.segment in new]),
            ]
        return cls(
            state=proposal.state,
            error=proposal.error or None,
            revision=proposal.revision,
            clear=proposal.is_clear if voices else None,
            voices=voices,
        )


@dataclass(frozen=True, slots=True)
class _Said:
    """What a speaker says in a segment."""

    segment: int
    words: list[dict[str, Any]]

    @property
    def seconds(self) -> float:
        return float(sum(word["end"] - word["start"] for word in self.words))

    def example(self) -> ExampleOut:
        text = types.Segment(tuple(types.Word(**word) for word in self.words)).text
        start, end = self.words[0]["start"], self.words[-1]["end"]
        return ExampleOut(segment=self.segment, start=start, end=end, text=text)


def _said_by(number: int, segments: Iterable[Segment]) -> Iterator[_Said]:
    for segment in segments:
        words = [word for word in segment.words if word.get("speaker") == number]
        if words:
            yield _Said(segment.number, words)


def _voice(said: Sequence[_Said]) -> ProposedVoiceOut:
    longest = sorted(said, key=lambda each: -each.seconds)[:MAX_EXAMPLES]
    return ProposedVoiceOut(
        segments=[each.segment for each in said],
        seconds=round(sum(each.seconds for each in said), 3),
        examples=[each.example() for each in sorted(longest, key=lambda each: each.segment)],
    )
