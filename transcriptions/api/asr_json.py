"""Transcripts in the JSON of Whisper, with the speakers of WhisperX."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from transcriptions.api.openai.responses import to_json, whisper_segments
from transcriptions.exports.service import transcript_of
from transcriptions.exports.transcript import TimedWord, Transcript, spaced
from transcriptions.models import Transcription

Json = dict[str, Any]
WordsBySegment = dict[int, list[tuple[str, TimedWord]]]  # each with the separator before it


def whisper_json(row: Transcription, *, words: bool) -> str:
    """The text, the language, and the segments, which have words if `words` is set.

    Texts begin with the space that separates them from the one before: clients put them together
    without another.
    """
    transcript = transcript_of(row, words=True)
    segments = whisper_segments(row, transcript.segments)
    by_segment = _by_segment(transcript)
    for body, segment in zip(segments, transcript.segments, strict=True):
        body |= _speaker(transcript.speakers.get(segment["speaker"], ""))
        if words:
            body["words"] = _words(segment, by_segment[segment["id"]])
    text = "".join(segment["text"] for segment in segments)
    return to_json({"text": text, "segments": segments, "language": row.language})


def _by_segment(transcript: Transcript) -> WordsBySegment:
    words: WordsBySegment = defaultdict(list)
    for space, word in spaced(transcript.words):
        words[word.segment].append((space, word))
    return words


def _words(segment: Json, words: list[tuple[str, TimedWord]]) -> list[Json]:
    # A segment without word times has none, and `words` shares its time among them.
    known = segment["words"] or [{}] * len(words)
    return [
        {
            "word": space + word.text,
            "start": word.start,
            "end": word.end,
            "probability": stored.get("probability"),
        }
        | _speaker(word.speaker)
        for (space, word), stored in zip(words, known, strict=True)
    ]


def _speaker(label: str) -> Json:
    return {"speaker": label} if label else {}
