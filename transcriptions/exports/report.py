"""How well the subtitles of a transcript follow the rules of a profile."""

from __future__ import annotations

from typing import Any

from ninja import Schema
from pydantic import Field

from transcriptions.exports.cues import Cue
from transcriptions.exports.norms import MILLISECONDS, Norm, shown_text, violations
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.subtitles import cues_of
from transcriptions.exports.transcript import Transcript
from transcriptions.exports.widths import line_width, reading_length


class ViolationOut(Schema):
    """A rule that a subtitle breaks."""

    norm: Norm
    value: float = Field(description="Value of the subtitle: characters, lines, or seconds")
    limit: float = Field(description="Limit of the profile")


class CueOut(Schema):
    """A subtitle: its lines, and its start and end in seconds."""

    start: float
    end: float
    lines: list[str]
    segment: int = Field(description="The `id` of the segment that contains its first word")
    line_chars: float = Field(description="Characters of its longest line")
    chars_per_second: float
    violations: list[ViolationOut]


class SubtitlesOut(Schema):
    """The subtitles of a transcript, measured by the rules of a profile."""

    profile: str
    passed: int = Field(description="How many subtitles follow all rules")
    share: float = Field(description="Their share of all subtitles, 0 to 1; 1 if there are none")
    failures: dict[str, int] = Field(description="How many subtitles break each rule")
    cues: list[CueOut]


def quality_report(transcript: Transcript, options: ExportOptions) -> SubtitlesOut:
    """The subtitles of a transcript that has the times of the file: see `timing.retime`."""
    cues = cues_of(transcript, options)
    language = options.language or transcript.language
    rate = options.frame_rate or MILLISECONDS
    found = violations(cues, options.profile, language=language, frame_rate=rate)
    passed = sum(not norms for norms in found)
    failed = [violation.norm.value for norms in found for violation in norms]
    return SubtitlesOut(
        profile=options.profile.name,
        passed=passed,
        share=round(passed / len(cues), 4) if cues else 1.0,
        failures={norm.value: failed.count(norm.value) for norm in Norm if norm.value in failed},
        cues=[_cue(cue, language, norms) for cue, norms in zip(cues, found, strict=True)],
    )


def _cue(cue: Cue, language: str, norms: list[Any]) -> CueOut:
    length = reading_length(shown_text(cue), language)
    return CueOut(
        start=round(cue.start, 3),
        end=round(cue.end, 3),
        lines=[line.text for line in cue.lines],
        segment=cue.words[0].segment,
        line_chars=round(max(line_width(line.text) for line in cue.lines), 1),
        chars_per_second=round(length / (cue.end - cue.start), 1),
        violations=[ViolationOut(norm=v.norm, value=v.value, limit=v.limit) for v in norms],
    )
