"""Word timestamps after a correction of the text. Imports no Django."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from gpu.scripts import UNSPACED
from transcriptions.editing.matching import blocks

StoredWord = dict[str, Any]  # {"start", "end", "text"}, and "no_space_before": True

# In scripts without spaces between words, each character counts as a word.
_WORD = re.compile(rf"\s*(?:[{UNSPACED}]|[^\s{UNSPACED}]+)")


def realign_words(words: list[StoredWord], text: str, start: float, end: float) -> list[StoredWord]:
    """The words of `text` with times. `start` and `end`: the segment's, in seconds."""
    return align(words, list(split(text)), start, end)


def align(
    words: list[StoredWord], new: list[tuple[str, bool]], start: float, end: float
) -> list[StoredWord]:
    """The `new` words, as `split` yields them, with times. Unchanged words keep theirs and their
    probability; others share the time of the words they replace, or the gap between their
    neighbors. They get the channel and the speaker of the word that they replace, or of the one
    before."""
    timed: list[StoredWord] = []
    old_keys, new_keys = keys(word["text"] for word in words), keys(word for word, _ in new)
    for block in blocks(old_keys, new_keys):
        old1, old2, added = block.old1, block.old2, new[block.new1 : block.new2]
        if old2 - old1 == len(added):  # one for one
            times = [(word["start"], word["end"]) for word in words[old1:old2]]
        else:
            first, last = _available_time(words, old1, old2, start, end)
            times = divide(first, last, [len(word) for word, _ in added])
        for index, (word, at) in enumerate(zip(added, times, strict=True)):
            known = known_of(_in_place(words, old1, old2, index), spoken=block.is_equal)
            timed.append(_stored(*word, at) | known)
    return timed


def _in_place(words: list[StoredWord], old1: int, old2: int, index: int) -> StoredWord:
    """The old word that the new word with this index replaces, if the new ones replace
    `words[old1:old2]`."""
    near = min(old1 + index, old2 - 1) if old1 < old2 else max(0, old1 - 1)
    return words[near] if words else {}


def known_of(word: StoredWord, *, spoken: bool) -> StoredWord:
    """The properties of a word that also hold for a text in its place; more of them if that text
    was really `spoken`."""
    names = ("channel", "speaker", "overlap", *(["probability"] if spoken else []))
    return {name: word[name] for name in names if name in word}


def _available_time(
    words: list[StoredWord], old1: int, old2: int, start: float, end: float
) -> tuple[float, float]:
    """Start and end of the time for new words that replace `words[old1:old2]`."""
    if old1 < old2:
        return words[old1]["start"], words[old2 - 1]["end"]
    first = words[old1 - 1]["end"] if old1 else start
    last = words[old1]["start"] if old1 < len(words) else end
    return first, max(first, last)


def divide(start: float, end: float, lengths: list[int]) -> list[tuple[float, float]]:
    """`start` to `end` divided in proportion to `lengths`."""
    total, position, times = sum(lengths) or 1, 0, []
    for length in lengths:
        first = start + (end - start) * position / total
        position += length
        times.append((round(first, 3), round(start + (end - start) * position / total, 3)))
    return times


def split(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each word, and whether it follows the previous one without a space."""
    for match in _WORD.finditer(text):
        word = match[0].strip()
        yield word, match.start() > 0 and match[0] == word


def _stored(text: str, no_space_before: bool, times: tuple[float, float]) -> StoredWord:
    word = {"start": times[0], "end": times[1], "text": text}
    return word | {"no_space_before": True} if no_space_before else word


def keys(words: Iterable[str]) -> list[str]:
    """Words in lower case without surrounding punctuation, for comparison."""
    return [re.sub(r"^\W+|\W+$", "", word.casefold()) or word for word in words]
