"""The cues of subtitles: the text on the screen, and its times. Imports no Django."""

from __future__ import annotations

from dataclasses import dataclass

from transcriptions.exports.transcript import TimedWord, join_words

TURN_MARK = "-"  # before the line of each speaker, if a cue has two


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a cue: words of one speaker."""

    words: tuple[TimedWord, ...]
    turn_mark: bool = False  # it starts with a hyphen, because the cue has two speakers

    @property
    def text(self) -> str:
        """The text as it is shown."""
        return (TURN_MARK if self.turn_mark else "") + join_words(self.words)

    @property
    def speaker(self) -> str:
        """The speaker; empty if unknown."""
        return self.words[0].speaker


@dataclass(frozen=True, slots=True)
class Cue:
    """Lines of text and the time span in which they are shown, in seconds."""

    start: float
    end: float
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """The lines as they are shown."""
        return "\n".join(line.text for line in self.lines)

    @property
    def words(self) -> tuple[TimedWord, ...]:
        """The words of all lines."""
        return tuple(word for line in self.lines for word in line.words)
