"""The transcript that is exported. Imports no Django."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gpu.joining import separator

# Whisper's codes that are not those of BCP 47.
_LANGUAGE_TAGS = {"jw": "jv"}


def language_tag(language: str) -> str:
    """The tag of BCP 47 for a language; `und` if it is not known."""
    return _LANGUAGE_TAGS.get(language, language) or "und"


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word with its times in seconds. `text` has no space around it.

    With `no_space_before` it follows the word before it without a space, as in Chinese. `speaker`
    is a name to show; empty if speakers are not known. `segment` is the number of its segment.
    `begins_paragraph`: whether a paragraph begins with it on the page; None unless users have
    divided the text there. `channel` counts from 0; None unless channels were recognized
    separately.
    """

    start: float
    end: float
    text: str
    no_space_before: bool = False
    speaker: str = ""
    segment: int = 0
    begins_paragraph: bool | None = None
    channel: int | None = None


def spaced(words: Iterable[TimedWord]) -> Iterator[tuple[str, TimedWord]]:
    """Each word with its separator: a space, where the language has them, or nothing."""
    last = ""
    for word in words:
        yield "" if word.no_space_before else separator(last, word.text), word
        last = word.text


def join_words(words: Iterable[TimedWord]) -> str:
    """The words as text, with spaces where the language has them."""
    return "".join(space + word.text for space, word in spaced(words))


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Words of one speaker that belong together, for documents for reading."""

    words: tuple[TimedWord, ...]

    @property
    def start(self) -> float:
        """Seconds."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """Seconds."""
        return self.words[-1].end

    @property
    def speaker(self) -> str:
        """The speaker; empty if unknown."""
        return self.words[0].speaker

    @property
    def text(self) -> str:
        """The words as text."""
        return join_words(self.words)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A transcript: segments as the API returns them, and facts about the recording.

    `words` are those of all segments in order; empty if they were not loaded.
    """

    title: str
    language: str
    duration: float  # seconds
    segments: Sequence[dict[str, Any]]  # as in SegmentOut; may have no words
    words: Sequence[TimedWord] = ()
    created_at: datetime | None = None
    speakers: Mapping[int, str] = field(default_factory=dict)  # labels by number
    annotations: Sequence[dict[str, Any]] = ()  # as in AnnotationOut, in order of time
