"""Transcripts as JSON. Imports no Django."""

from __future__ import annotations

import json

from gpu.joining import join
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.transcript import Transcript

VERSION = 1  # of docs/schemas/transcript-1.json; changes if a property changes or is removed


def write(transcript: Transcript, options: ExportOptions) -> bytes:
    """Everything that is known: segments and words with their times, and annotations."""
    document = {
        "version": VERSION,
        "title": transcript.title,
        "language": transcript.language,
        "duration": transcript.duration,
        "text": join(segment["text"] for segment in transcript.segments),
        "speakers": [
            {"number": number, "label": label} for number, label in transcript.speakers.items()
        ],
        "segments": transcript.segments,
        "annotations": [*transcript.annotations],
    }
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()
