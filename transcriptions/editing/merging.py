"""Merges edits of an earlier transcript into a later recognition of the same recording, word by
word. Imports no Django.

As in a three-way merge of texts: the words that were recognized earlier are the base. Where nobody
has edited them, the later ones are used. An edit is kept; if the words under it were recognized
differently this time, the later ones are kept with it as an alternative.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from transcriptions.editing.alignment import StoredWord, keys, split
from transcriptions.editing.matching import Block, blocks
from transcriptions.editing.placing import Heard, Placed, Token, place, tokens_of
from transcriptions.editing.rebuilding import Draft, draft_of, sentences, text_of


@dataclass(frozen=True, slots=True)
class Edit:
    """Words that a user wrote in place of `base[first:last]`."""

    first: int
    last: int
    words: list[StoredWord]


@dataclass(slots=True)
class Chunk:
    """Edits, and changes of the recognition that overlap them, between two positions of the
    base."""

    first: int
    last: int
    edits: list[Edit] = field(default_factory=list)
    changes: list[Block] = field(default_factory=list)

    def overlaps(self, change: Block) -> bool:
        """Whether the change is in the same place; adjacent to the edited words does not count."""
        if self.first == self.last:
            return change.old1 <= self.first <= change.old2
        if change.old1 == change.old2:
            return self.first < change.old1 < self.last
        return change.old1 < self.last and self.first < change.old2

    def include(self, first: int, last: int) -> None:
        """Extend the chunk to these positions."""
        self.first, self.last = min(self.first, first), max(self.last, last)

    def words(self, base: Sequence[Heard]) -> Iterator[StoredWord]:
        """The words of the earlier transcript."""
        position = self.first
        for edit in self.edits:
            yield from (each.word for each in base[position : edit.first])
            yield from edit.words
            position = edit.last
        yield from (each.word for each in base[position : self.last])


def edits_of(first: int, recognized: Sequence[str], words: Sequence[StoredWord]) -> Iterator[Edit]:
    """The edits of a segment whose recognized words begin at position `first` of the base. Changes
    of punctuation and of case are edits, too."""
    for block in blocks(recognized, [word["text"] for word in words]):
        if not block.is_equal:
            new = list(words[block.new1 : block.new2])
            yield Edit(first + block.old1, first + block.old2, new)


@dataclass(frozen=True, slots=True)
class Merge:
    """The words that were recognized earlier and later, and the edits of the earlier ones."""

    base: Sequence[Heard]
    edits: Sequence[Edit]
    later: Sequence[Heard]
    duration: float  # seconds
    blocks: Sequence[Block]

    @classmethod
    def of(
        cls, base: Sequence[Heard], edits: Sequence[Edit], later: Sequence[Heard], duration: float
    ) -> Merge:
        """Compute the words that both recognitions have in common."""
        old, new = (keys(each.word["text"] for each in words) for words in (base, later))
        return cls(base, edits, later, duration, list(blocks(old, new)))

    @property
    def matching_share(self) -> float:
        """The share of the longer text that was recognized in the same way, 0 to 1."""
        equal = sum(block.old2 - block.old1 for block in self.blocks if block.is_equal)
        return equal / max(1, len(self.base), len(self.later))

    def placed(self) -> list[Placed]:
        """All words in order. A word with an alternative is a conflict."""
        starts, ends = self._positions()
        result, position = list[Placed](), 0
        for chunk in self._chunks():
            inside = [(change.new1, change.new2) for change in chunk.changes]
            first = min([starts[chunk.first], *(new1 for new1, _ in inside)])
            last = max([ends[chunk.last], *(new2 for _, new2 in inside)])
            result += map(_unedited, self.later[position:first])
            self._add(result, chunk, first, last)
            position = last
        return [*result, *map(_unedited, self.later[position:])]

    def _add(self, result: list[Placed], chunk: Chunk, first: int, last: int) -> None:
        """Add the words of a chunk in the place of `later[first:last]`."""
        tokens = list(_tokens(chunk.words(self.base)))
        later = self.later[first:last]
        recognized = text_of(each.word for each in later) if later else ""
        is_conflict = bool(chunk.changes) and _plain(tokens) != _plain(tokens_of(recognized))
        if not tokens:
            _remove(result, later, recognized if is_conflict else None)
            return
        low = result[-1].word["end"] if result else 0.0
        high = self.later[last].word["start"] if last < len(self.later) else self.duration
        neighbor = self.later[max(0, first - 1)] if self.later else None
        added = place(later, tokens, low, max(low, high), neighbor).placed
        if is_conflict:
            for each in added:  # they stay in one segment, which has the alternative
                each.alternative, each.segment = "", added[0].segment
            added[0].alternative = recognized
        result += added

    def _chunks(self) -> Iterator[Chunk]:
        """Yield chunks in order; together they contain all edits."""
        edits = sorted(self.edits, key=lambda edit: (edit.first, edit.last))
        changes = [block for block in self.blocks if not block.is_equal]
        while edits:
            chunk = Chunk(edits[0].first, edits[0].last, [edits.pop(0)])
            while changes and changes[0].old2 < chunk.first:
                changes.pop(0)
            is_complete = False
            while not is_complete:
                near = [change for change in changes[:3] if chunk.overlaps(change)]
                for change in near:
                    chunk.changes.append(change)
                    chunk.include(change.old1, change.old2)
                    changes.remove(change)
                is_complete = not near
                while edits and edits[0].first < chunk.last:
                    is_complete = False
                    chunk.edits.append(edits.pop(0))
                    chunk.include(chunk.edits[-1].first, chunk.edits[-1].last)
            yield chunk

    def _positions(self) -> tuple[dict[int, int], dict[int, int]]:
        """For each position of the base: where the words after it begin in the later words, and
        where the words before it end."""
        starts, ends = {len(self.base): len(self.later)}, {0: 0}
        for block in self.blocks:
            if block.is_equal:
                for n in range(block.old2 - block.old1):
                    starts[block.old1 + n] = block.new1 + n
                    ends[block.old1 + n + 1] = block.new1 + n + 1
            elif block.old1 < block.old2:
                starts[block.old1], ends[block.old2] = block.new1, block.new2
        return starts, ends


def _unedited(heard: Heard) -> Placed:
    return Placed(heard.word, heard.language, heard.segment, [heard.word], is_edited=False)


def _remove(result: list[Placed], later: Sequence[Heard], alternative: str | None) -> None:
    """Leave out words that a user has deleted. The word before them stores them; if there is none,
    they stay."""
    if not result:
        result += map(_unedited, later)
        return
    last = result[-1]
    last.heard += [each.word for each in later]
    last.is_edited |= bool(later)
    if alternative is not None:
        text = last.word["text"] if last.alternative is None else last.alternative
        last.alternative = f"{text} {alternative}".strip()


def _tokens(words: Iterator[StoredWord]) -> Iterator[Token]:
    for word in words:
        for n, token in enumerate(tokens_of(word["text"])):
            is_joined = token.no_space_before if n else word.get("no_space_before", False)
            yield Token(token.text, is_joined)


def _plain(tokens: Sequence[Token] | Iterator[Token]) -> str:
    """The text without punctuation and spaces, for comparison."""
    return "".join(keys(part for token in tokens for part, _ in split(token.text)))


def drafts_of(placed: Sequence[Placed], minimum: int) -> list[Draft] | None:
    """Segments like those of the later recognition, except where there are edits. At least
    `minimum` segments, because watchers have received that many; None if there are too few
    words."""
    parts = [list(group) for _, group in groupby(placed, lambda each: each.segment)]
    missing = minimum - len(parts)
    while missing > 0:
        longest = max(parts, key=len, default=[])
        cuts = [n for n in range(1, len(longest)) if longest[n].alternative != ""]
        if not cuts:
            return None
        cut, index = cuts[len(cuts) // 2], parts.index(longest)
        parts[index : index + 1] = [longest[:cut], longest[cut:]]
        missing -= 1
    return [draft for part in parts for draft in _drafts_of_part(part)]


def _drafts_of_part(part: list[Placed]) -> Iterator[Draft]:
    if any(each.is_edited for each in part):
        yield from sentences(part)
    else:
        yield draft_of(part)
