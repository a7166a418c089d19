"""The paragraphs in which the page of a transcript shows its segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import islice

from django.utils.safestring import SafeString

from gpu.joining import separator
from transcriptions.exports.page_paragraphs import PageDivision
from transcriptions.models import Segment, Speaker

GROUP_SIZE = 25  # paragraphs that browsers render or skip together


@dataclass(slots=True)
class Paragraph:
    """A paragraph: whole segments of one speaker and channel."""

    speaker: int | None = None
    channel: int | None = None
    start: float = 0.0  # seconds
    label: str = ""  # of the speaker, if a turn begins with it
    segments: list[tuple[str, Segment]] = field(default_factory=list)  # with separators

    @property
    def html(self) -> SafeString:
        """The text. A template would take a second for the thousands of segments of a long talk."""
        return SafeString("".join(space + _span(segment) for space, segment in self.segments))

    @property
    def conflicts(self) -> list[Segment]:
        """Segments that were recognized differently later."""
        return [segment for _, segment in self.segments if segment.conflict]

    def add(self, segment: Segment) -> None:
        """Append a segment."""
        last = self.segments[-1][1].text if self.segments else ""
        self.segments.append((separator(last, segment.text), segment))


def blank_paragraph() -> Paragraph:
    """An empty paragraph, which the script of the page copies."""
    return Paragraph(label="…")


def groups(all_paragraphs: Iterator[Paragraph]) -> Iterator[list[Paragraph]]:
    """The paragraphs, in the groups that the page uses for long transcripts."""
    while group := list(islice(all_paragraphs, GROUP_SIZE)):
        yield group


def paragraphs(segments: Iterable[Segment], speakers: Mapping[int, Speaker]) -> Iterator[Paragraph]:
    """Divide all segments, in order. `speakers` maps numbers to speakers."""
    division = PageDivision()
    current: Paragraph | None = None
    for segment in segments:
        begins = division.begins_with(
            speaker=segment.speaker,
            channel=segment.channel,
            start=segment.start,
            end=segment.end,
            text=segment.text,
            paragraph=segment.paragraph,
        )
        if current is None or begins:
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
