"""Transcripts for the tests of exports."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from transcriptions.exports.cues import Cue, Line
from transcriptions.exports.transcript import TimedWord, Transcript


def word(start: float, end: float, text: str, **more: Any) -> TimedWord:
    """A word with its times in seconds."""
    return TimedWord(start, end, text, **more)


def segment(start: float, end: float, text: str, speaker: str = "") -> tuple[TimedWord, ...]:
    """The words of a text, which share its time equally."""
    texts = text.split(" ") if text else []
    length = (end - start) / len(texts) if texts else 0.0
    return tuple(
        word(
            round(start + number * length, 3),
            round(start + (number + 1) * length, 3),
            each,
            speaker=speaker,
        )
        for number, each in enumerate(texts)
    )


def cue(start: float, end: float, *lines: str | tuple[str, str]) -> Cue:
    """A cue with these lines: each is a text, or a speaker and a text. With two speakers, lines
    have hyphens. Each text becomes one word, whatever it contains.
    """
    pairs = [("", line) if isinstance(line, str) else line for line in lines]
    is_dialogue = len({speaker for speaker, _ in pairs}) > 1
    spoken = [(word(start, end, text, speaker=speaker),) for speaker, text in pairs]
    return Cue(start, end, tuple(Line(words, is_dialogue) for words in spoken))


def transcript(*segments: tuple[TimedWord, ...], **more: Any) -> Transcript:
    """A transcript of segments that are numbered from 1."""
    numbered = [
        tuple(replace(each, segment=number) for each in words)
        for number, words in enumerate(segments, 1)
    ]
    facts: dict[str, Any] = {
        "title": "A greeting",
        "language": "en",
        "duration": 12.5,
        "created_at": datetime(2026, 5, 4, 9, 30, tzinfo=UTC),
    }
    return Transcript(
        segments=[_as_json(words) for words in numbered],
        words=tuple(each for words in numbered for each in words),
        **(facts | more),
    )


def annotation(kind: str, start: float, end: float, **more: Any) -> dict[str, Any]:
    """An annotation as the API returns it."""
    date = "2026-05-05T08:00:00Z"
    dates = {"created_at": date, "updated_at": date}
    times = {"start": start, "end": end}
    facts = {"id": 1, "kind": kind, **times, "quote": "", "body": "", "color": None, **dates}
    return facts | more


def _as_json(words: tuple[TimedWord, ...]) -> dict[str, Any]:
    """A segment as the API returns it."""
    return {
        "id": words[0].segment,
        "start": words[0].start,
        "end": words[-1].end,
        "text": " ".join(each.text for each in words),
        "language": "en",
        "channel": None,
        "probability": None,
        "words": [{"start": w.start, "end": w.end, "text": w.text} for w in words],
    }
