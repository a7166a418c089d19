"""Plain text in paragraphs. Imports no Django."""

from __future__ import annotations

from transcriptions.exports.reading import blocks
from transcriptions.exports.transcript import Transcript


def text(transcript: Transcript, *, speakers: bool = True, times: bool = False) -> str:
    """Paragraphs with a blank line between them."""
    found = blocks(transcript, speakers=speakers, times=times)
    return "\n\n".join(f"{block.label} {block.text}".lstrip() for block in found) + "\n"
