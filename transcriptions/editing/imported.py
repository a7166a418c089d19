"""A text that will replace that of a transcript. Imports no Django."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gpu.joining import one_line, separator
from transcriptions.editing.alignment import divide
from transcriptions.editing.placing import Token, tokens_of


class ImportRefused(Exception):
    """The text cannot be imported. `str()` is a message for the owner that says where and why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Cue:
    """A part of the text, and when it is shown, in seconds. `place` is its position in the file,
    for messages."""

    start: float
    end: float
    text: str
    place: str = ""

    def with_text(self, text: str) -> Cue:
        """The same with another text."""
        return replace(self, text=text)


@dataclass(frozen=True, slots=True)
class Imported:
    """The text in parts, in order of time if it `is_timed`, and else as one part without times."""

    cues: list[Cue]
    is_timed: bool

    def tokens(self) -> Iterator[Token]:
        """All words. Those of a cue share its time."""
        before = ""
        for cue in self.cues:
            tokens = list(tokens_of(one_line(cue.text)))
            times = divide(cue.start, cue.end, [len(token.text) for token in tokens])
            for index, (token, at) in enumerate(zip(tokens, times, strict=True)):
                is_joined = token.no_space_before
                if index == 0:
                    is_joined = bool(before) and not separator(before, token.text)
                yield Token(token.text, is_joined, *(at if self.is_timed else ()))
                before = token.text
