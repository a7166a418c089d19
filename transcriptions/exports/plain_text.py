"""Plain text in paragraphs. Imports no Django."""

from __future__ import annotations

from collections.abc import Iterator

from transcriptions.exports.notes import HEADING, notes
from transcriptions.exports.reading import blocks
from transcriptions.exports.transcript import Transcript


def text(transcript: Transcript, *, speakers: bool = True, times: bool = False) -> str:
    """Paragraphs with a blank line between them, and the notes."""
    return "\n\n".join(_parts(transcript, speakers, times)) + "\n"


def _parts(transcript: Transcript, speakers: bool, times: bool) -> Iterator[str]:
    for block in blocks(transcript, speakers=speakers, times=times):
        yield f"{block.label} {block.text}".lstrip()
    if transcript.annotations:
        yield HEADING
    for note in notes(transcript):
        yield f"[{note.time}] {note.kind}: {note.text}".removesuffix(": ")
