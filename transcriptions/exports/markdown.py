"""Markdown: CommonMark. GitHub's tables are escaped, too. Imports no Django."""

from __future__ import annotations

import re
from collections.abc import Iterator

from transcriptions.exports.notes import HEADING, Note, notes
from transcriptions.exports.reading import Block, blocks, clean, details
from transcriptions.exports.transcript import Transcript

_INLINE = re.compile(r"([\\`*_\[\]<>&|~$#])")
# Characters at the start of a line that would begin a list, or underline a heading or a table.
_LINE_START = re.compile(r"^([+=:-]|\d+(?=[.)]))")


def markdown(transcript: Transcript, *, speakers: bool = True, times: bool = False) -> str:
    """A heading, a line of details, the paragraphs, and the notes."""
    return "\n\n".join(_parts(transcript, speakers, times)) + "\n"


def _parts(transcript: Transcript, speakers: bool, times: bool) -> Iterator[str]:
    if title := clean(transcript.title):
        yield f"# {escape(title)}"
    yield escape(details(transcript))
    for block in blocks(transcript, speakers=speakers, times=times):
        yield _paragraph(block)
    if transcript.annotations:
        yield f"## {HEADING}"
        yield "\n".join(f"- {_note(note)}" for note in notes(transcript))


def _paragraph(block: Block) -> str:
    time = f"`{block.time}`" if block.time else ""
    speaker = f"**{escape(block.speaker)}:**" if block.speaker else ""
    return " ".join(filter(None, (time, speaker, escape(block.text))))


def _note(note: Note) -> str:
    return " ".join(filter(None, (f"`{note.time}`", f"**{note.kind}**", escape(note.text))))


def escape(text: str) -> str:
    """One line of text, escaped so that it is shown unchanged."""
    escaped = _INLINE.sub(r"\\\1", text)
    return _LINE_START.sub(_escaped_start, escaped)


def _escaped_start(found: re.Match[str]) -> str:
    mark = found[1]
    return f"{mark}\\" if mark.isdigit() else f"\\{mark}"
