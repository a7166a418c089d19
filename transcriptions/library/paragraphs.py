"""The paragraphs in which the page of a transcript shows its segments.

`static/js/paragraphs.js` has the same rule, for segments that arrive later: a test compares both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import islice

from django.utils.safestring import SafeString

from gpu.joining import separator
from transcriptions.models import Segment, Speaker

FULL_LENGTH = 500  # UTF-16 units of its segments, as JavaScript counts: no paragraph goes on
GROUP_SIZE = 25  # paragraphs that browsers draw, or leave out, together
PAUSE_LENGTH, PAUSE_S = 200, 1.5  # one that is this long ends at a pause


@dataclass(slots=True)
class Paragraph:
    """Whole segments of one speaker and channel."""

    speaker: int | None = None
    channel: int | None = None
    start: float = 0.0  # seconds
    label: str = ""  # of the speaker, if a turn begins with it
    segments: list[tuple[str, Segment]] = field(default_factory=list)  # with what is before each
    length: int = 0

    @property
    def html(self) -> SafeString:
        """The text. A template would need a second for the thousands of segments of a long talk."""
        return SafeString("".join(space + _span(segment) for space, segment in self.segments))

    @property
    def conflicts(self) -> list[Segment]:
        """Segments with another text that was recognized later."""
        return [segment for _, segment in self.segments if segment.conflict]

    def takes(self, segment: Segment) -> bool:
        """Whether it goes on with this segment."""
        if (self.speaker, self.channel) != (segment.speaker, segment.channel):
            return False
        if segment.paragraph is not None:  # people have said so
            return not segment.paragraph
        pause = segment.start - self.segments[-1][1].end
        return self.length < PAUSE_LENGTH or (self.length < FULL_LENGTH and pause < PAUSE_S)

    def add(self, segment: Segment) -> None:
        """Append a segment."""
        last = self.segments[-1][1].text if self.segments else ""
        self.segments.append((separator(last, segment.text), segment))
        self.length += utf16_length(segment.text)


def blank_paragraph() -> Paragraph:
    """For the script of the page, which copies it."""
    return Paragraph(label="…")


def groups(all_paragraphs: Iterator[Paragraph]) -> Iterator[list[Paragraph]]:
    """The paragraphs in the groups that the page has for long transcripts."""
    while group := list(islice(all_paragraphs, GROUP_SIZE)):
        yield group


def paragraphs(segments: Iterable[Segment], speakers: Mapping[int, Speaker]) -> Iterator[Paragraph]:
    """All segments, in order. `speakers` has all of them by number."""
    current: Paragraph | None = None
    for segment in segments:
        if current is None or not current.takes(segment):
            if current:
                yield current
            label = _label_of_turn(current, segment, speakers)
            current = Paragraph(segment.speaker, segment.channel, segment.start, label)
        current.add(segment)
    if current:
        yield current


def _span(segment: Segment) -> str:
    speaker = f' data-speaker="{segment.speaker}"' if segment.speaker else ""
    channel = f' data-channel="{segment.channel}"' if segment.channel is not None else ""
    begins = "" if segment.paragraph is None else f' data-paragraph="{segment.paragraph}"'.lower()
    return (
        f'<span class="segment" data-segment="{segment.number}" data-start="{segment.start:.3f}" '
        f'data-end="{segment.end:.3f}"{speaker}{channel}{begins}>{escape(segment.text)}</span>'
    )


def _label_of_turn(
    before: Paragraph | None, segment: Segment, speakers: Mapping[int, Speaker]
) -> str:
    number = segment.speaker
    if number is None or (before and before.speaker == number):
        return ""
    return str(speakers[number])


def utf16_length(text: str) -> int:
    """The length of a text in JavaScript."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
