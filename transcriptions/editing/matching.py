"""Finds the words that two texts have in common, in order. Imports no Django.

The time grows linearly with the length of the texts, whatever they contain: long texts are divided
where both have the same rare words, as in a patience diff, and only short ranges are compared word
by word.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

# Limits for SequenceMatcher, whose time grows with both numbers: pairs of equal words, and pairs of
# words.
MAX_EQUAL_PAIRS, MAX_PAIRS = 150 * 150, 1000 * 1000
MAX_DEPTH = 24  # of ranges within ranges; anything unmatched then counts as changed
PHRASE_LENGTHS = (3, 2, 1)  # numbers of words in phrases that must occur once in both texts


@dataclass(frozen=True, slots=True)
class Block:
    """`old[old1:old2]` corresponds to `new[new1:new2]`."""

    old1: int
    old2: int
    new1: int
    new2: int
    is_equal: bool

    @property
    def is_empty(self) -> bool:
        """Whether it has no words at all."""
        return self.old1 == self.old2 and self.new1 == self.new2


@dataclass(frozen=True, slots=True)
class Times:
    """When each word of both texts is spoken, in seconds, in order. This decides where to divide
    texts that repeat the same words."""

    old: Sequence[float]
    new: Sequence[float]

    def middle(self, part: Block) -> tuple[int, int]:
        """Positions at the same time in the middle of `part`."""
        new = (part.new1 + part.new2) // 2
        return bisect_left(self.old, self.new[new], part.old1, part.old2), new


def blocks(old: Sequence[str], new: Sequence[str], times: Times | None = None) -> Iterator[Block]:
    """All words of both texts in order, in blocks that are equal or changed. None is empty."""
    found = _Matcher(old, new, times).within(Block(0, len(old), 0, len(new), False), 0)
    return (block for block in found if not block.is_empty)


@dataclass(frozen=True, slots=True)
class _Matcher:
    old: Sequence[str]
    new: Sequence[str]
    times: Times | None

    def within(self, part: Block, depth: int) -> Iterator[Block]:
        """The blocks of a part of both texts."""
        head, tail = self._equal_ends(part)
        yield Block(part.old1, part.old1 + head, part.new1, part.new1 + head, True)
        old2, new2 = part.old2 - tail, part.new2 - tail
        core = Block(part.old1 + head, old2, part.new1 + head, new2, False)
        if core.old1 == core.old2 or core.new1 == core.new2:
            yield core
        elif self._is_small(core):
            yield from self._compare(core)
        else:
            yield from self._divide(core, depth)
        yield Block(old2, part.old2, new2, part.new2, True)

    def _equal_ends(self, part: Block) -> tuple[int, int]:
        """How many words are equal at the beginning, and how many of the others at the end."""
        old, new = self.old, self.new
        shorter = min(part.old2 - part.old1, part.new2 - part.new1)
        starts = (old[part.old1 + n] == new[part.new1 + n] for n in range(shorter))
        head = next((n for n, is_equal in enumerate(starts) if not is_equal), shorter)
        rest = shorter - head
        ends = (old[part.old2 - 1 - n] == new[part.new2 - 1 - n] for n in range(rest))
        return head, next((n for n, is_equal in enumerate(ends) if not is_equal), rest)

    def _is_small(self, core: Block) -> bool:
        if (core.old2 - core.old1) * (core.new2 - core.new1) > MAX_PAIRS:
            return False
        old = Counter(self.old[core.old1 : core.old2])
        new = Counter(self.new[core.new1 : core.new2])
        return sum(count * new[word] for word, count in old.items()) <= MAX_EQUAL_PAIRS

    def _compare(self, core: Block) -> Iterator[Block]:
        old, new = self.old[core.old1 : core.old2], self.new[core.new1 : core.new2]
        matcher = SequenceMatcher(None, old, new, False)
        for tag, old1, old2, new1, new2 in matcher.get_opcodes():
            equal = tag == "equal"
            offset, shift = core.old1, core.new1
            yield Block(offset + old1, offset + old2, shift + new1, shift + new2, equal)

    def _divide(self, core: Block, depth: int) -> Iterator[Block]:
        """Divide at the anchors. Each range begins with its anchor, and so with equal words."""
        anchors = self._anchors(core) if depth < MAX_DEPTH else []
        if not anchors:
            yield core
            return
        old1, new1 = core.old1, core.new1
        for old2, new2 in (*anchors, (core.old2, core.new2)):
            yield from self.within(Block(old1, old2, new1, new2, False), depth + 1)
            old1, new1 = old2, new2

    def _anchors(self, core: Block) -> list[tuple[int, int]]:
        """Positions, in order, of phrases that occur once in each text; if there are none, one
        position at the same time in both."""
        for length in PHRASE_LENGTHS:
            old = _unique(self.old, core.old1, core.old2, length)
            new = _unique(self.new, core.new1, core.new2, length)
            pairs = [(start, new[phrase]) for phrase, start in old.items() if phrase in new]
            if pairs:
                return _longest_increasing(pairs)
        if self.times is None:
            return []
        middle = self.times.middle(core)
        return [middle] if middle[0] > core.old1 or middle[1] > core.new1 else []


def _unique(words: Sequence[str], first: int, last: int, length: int) -> dict[tuple[str, ...], int]:
    """Phrases that occur once in a range, with the positions where they begin, in order."""
    phrases = list(zip(*(words[first + n : last] for n in range(length)), strict=False))
    counts = Counter(phrases)
    return {phrase: first + n for n, phrase in enumerate(phrases) if counts[phrase] == 1}


def _longest_increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest list of these pairs in which both numbers increase. The first numbers already
    do."""
    ends: list[int] = []  # the smallest last number of an increasing list of each length
    last: list[int] = []  # the index of that pair
    before: list[int] = []  # by pair: the index of the one before it
    for index, (_, number) in enumerate(pairs):
        length = bisect_right(ends, number)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [number]
        last[length : length + 1] = [index]
    chosen, index = list[tuple[int, int]](), last[-1]
    while index >= 0:
        chosen.append(pairs[index])
        index = before[index]
    return chosen[::-1]
