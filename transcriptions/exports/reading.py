"""Shared by all documents for reading. Imports no Django."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpu.languages import LANGUAGES
from transcriptions.durations import clock
from transcriptions.exports.paragraphs import paragraphs
from transcriptions.exports.transcript import TimedWord, Transcript, join_words

RIGHT_TO_LEFT = {"ar", "fa", "he", "ps", "sd", "ur", "yi"}
# Control characters, which XML does not allow, and marks that change the direction of what follows.
_INVALID = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]+")


class MissingFontError(ValueError):
    """A text has characters that none of our fonts has: it can be exported as DOCX, but not as
    PDF."""

    def __init__(self, characters: list[str]) -> None:
        self.characters = characters
        super().__init__(f"There is no font for {', '.join(characters)}.")


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph as it is printed."""

    time: str  # `00:01:05`; empty if times are not shown
    speaker: str  # empty if it is not shown, not known, or the same as before
    words: tuple[TimedWord, ...]

    @property
    def text(self) -> str:
        """The text in one line."""
        return clean(join_words(self.words))

    @property
    def label(self) -> str:
        """The label before the text, in plain text."""
        time = f"[{self.time}]" if self.time else ""
        speaker = f"{self.speaker}:" if self.speaker else ""
        return " ".join(filter(None, (time, speaker)))


def blocks(transcript: Transcript, *, speakers: bool, times: bool) -> Iterator[Block]:
    """The paragraphs of a transcript that has words."""
    last = ""
    for paragraph in paragraphs(transcript.words, transcript.language):
        speaker = clean(paragraph.speaker)
        shown = speaker if speakers and speaker != last else ""
        yield Block(timestamp(paragraph.start) if times else "", shown, paragraph.words)
        last = speaker


def clean(text: str) -> str:
    """The text in one line, without control characters."""
    return " ".join(_INVALID.sub(" ", text).split())


def timestamp(seconds: float) -> str:
    """`00:01:05`, rounded down."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def details(transcript: Transcript) -> str:
    """Date, duration and language in one line: `Nov 25, 2026 · 1:02:03 · English`."""
    created_at = transcript.created_at
    date = f"{created_at:%b} {created_at.day}, {created_at.year}" if created_at else ""
    language = LANGUAGES.get(transcript.language, "")
    return " · ".join(filter(None, (date, clock(transcript.duration), language)))
