"""Recognition of each channel of a recording by itself, as in a telephone call.

The recording is cut into parts where no channel has speech. The engine gets the channels of a part
one after the other, and their segments are put in order of time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gpu.types import Audio, Complete, EngineEvent, Metadata, Segment, Span, UsageDelta
from transcriptions.processing.engine_calls import checked

FIRST_PART_S, PART_S = 20.0, 120.0  # of speech at least, unless the recording ends: before a cut

Stream = Callable[[Audio], Iterator[EngineEvent]]


@dataclass(slots=True)
class ChannelMerger:
    """Calls the engine for each channel. `paths` are mono WAVs of the channels; the recording
    continues after `stored`, segments that are stored already with their channels and times."""

    audio: Audio  # with the spans of all channels
    paths: Mapping[int, Path]
    stream: Stream
    stored: Sequence[tuple[int, float, float]] = ()  # channel, start, end
    _usage: Complete = field(default=Complete(0.0, 0.0))
    _languages: dict[int, str] = field(default_factory=dict)
    _started: bool = False

    def events(self) -> Iterator[EngineEvent]:
        """As those of an engine. Segments of different channels can overlap.

        Raises EngineError.
        """
        for part in _parts(list(self._remaining())):
            segments: list[Segment] = []
            for channel in self.paths:
                if spans := tuple(span for span in part if span.channel == channel):
                    yield from self._recognize(channel, spans, segments)
            yield from sorted(segments, key=lambda segment: segment.start)
        yield self._usage

    def _remaining(self) -> Iterator[Span]:
        """Segments are stored in order of their start: what is missing starts after the last one,
        and after the end of its channel's last one."""
        last = max((start for _, start, _ in self.stored), default=0.0)
        ends = {channel: end for channel, _, end in sorted(self.stored, key=lambda s: s[2])}
        for span in self.audio.spans:
            position = max(last, ends.get(span.channel or 0, 0.0))
            if span.end > position:
                yield replace(span, start=max(span.start, position))

    def _recognize(
        self, channel: int, spans: tuple[Span, ...], segments: list[Segment]
    ) -> Iterator[EngineEvent]:
        """Add the segments of a channel in a part. Yields other events."""
        language = self._languages.get(channel) or self.audio.language
        audio = replace(self.audio, path=self.paths[channel], spans=spans, language=language)
        for event in checked(self.stream(audio), spans[0].start, audio.duration):
            match event:
                case Metadata():
                    self._languages.setdefault(channel, event.language)
                    if not self._started:
                        yield event
                    self._started = True
                case Segment():
                    segments.append(self._on_channel(event, channel))
                case UsageDelta():
                    yield event
                case Complete():
                    self._usage += event

    def _on_channel(self, segment: Segment, channel: int) -> Segment:
        words = tuple(replace(word, channel=channel) for word in segment.words)
        language = segment.language or self._languages.get(channel, "")
        return replace(segment, words=words, language=language)


def _parts(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Spans of all channels, in order, cut where all are silent."""
    part, spoken_until, target = list[Span](), 0.0, FIRST_PART_S
    for span in sorted(spans, key=lambda span: span.start):
        is_cut = span.start >= spoken_until
        if part and is_cut and spoken_until - part[0].start >= target:
            yield part
            part, target = [], PART_S
        part.append(span)
        spoken_until = max(spoken_until, span.end)
    if part:
        yield part
