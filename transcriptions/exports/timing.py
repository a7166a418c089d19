"""Moves a transcript to the times of its export. Imports no Django."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

from transcriptions.exports.options import ExportOptions
from transcriptions.exports.transcript import TimedWord, Transcript, join_words

Segment = dict[str, Any]
Words = tuple[TimedWord, ...]


def retime(transcript: Transcript, options: ExportOptions) -> Transcript:
    """The transcript with the times and the range of the options.

    The transcript must have its words if `options.leaves_out_words`: a segment then consists of the
    words that are not left out.
    """
    if options.keeps_times:
        return transcript
    words = tuple(_words(transcript.words, options))
    segments = transcript.segments
    if options.leaves_out_words:
        segments = tuple(_shortened(segments, transcript.words, options))
    return replace(
        transcript,
        words=words,
        segments=tuple(_moved(segment, options) for segment in segments),
        annotations=tuple(_annotations(transcript.annotations, options)),
    )


def _words(words: Iterable[TimedWord], options: ExportOptions) -> Iterator[TimedWord]:
    for word in words:
        if options.includes(word.start, word.end):
            yield replace(word, start=options.time(word.start), end=options.time(word.end))


def _shortened(
    segments: Iterable[Segment], words: Iterable[TimedWord], options: ExportOptions
) -> Iterator[Segment]:
    """The segments, reduced to the words that are included. Times are those of the recording."""
    counts = Counter(word.segment for word in words)
    included = (word for word in words if options.includes(word.start, word.end))
    left: dict[int, Words] = {
        number: tuple(group) for number, group in groupby(included, key=lambda word: word.segment)
    }
    for segment in segments:
        rest = left.get(segment["id"], ())
        if len(rest) == counts[segment["id"]]:
            yield from [segment] if rest else []
        elif rest:
            span = {"start": rest[0].start, "end": rest[-1].end}
            inside = [w for w in segment["words"] if options.includes(w["start"], w["end"])]
            yield segment | span | {"text": join_words(rest), "words": inside}


def _moved(segment: Segment, options: ExportOptions) -> Segment:
    words = [word | _span(word, options) for word in segment["words"]]
    return segment | _span(segment, options) | {"words": words}


def _annotations(
    annotations: Iterable[dict[str, Any]], options: ExportOptions
) -> Iterator[dict[str, Any]]:
    for annotation in annotations:
        if options.overlaps(annotation["start"], annotation["end"]):
            yield annotation | _span(annotation, options)


def _span(timed: dict[str, Any], options: ExportOptions) -> dict[str, float]:
    return {name: options.time(timed[name]) for name in ("start", "end")}
