"""Word timestamps after a correction of the text. Imports no Django."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import Any

from gpu.scripts import UNSPACED

StoredWord = dict[str, Any]  # {"start", "end", "text"}, and "no_space_before": True

# In scripts without spaces between words, each character counts as a word.
_WORD = re.compile(rf"\s*(?:[{UNSPACED}]|[^\s{UNSPACED}]+)")

# Maximum number of pairs of equal words for SequenceMatcher: on a text that repeats a few words it
# would run for minutes.
MAX_EQUAL_PAIRS = 150 * 150


def realign_words(words: list[StoredWord], text: str, start: float, end: float) -> list[StoredWord]:
    """The words of `text` with times. Unchanged words keep theirs and their probability; new ones
    share the time of the words they replace, or the gap between their neighbors. `start` and `end`:
    the segment's, in seconds.
    """
    new = list(_split(text))
    timed: list[StoredWord] = []
    old_keys, new_keys = _keys(word["text"] for word in words), _keys(word for word, _ in new)
    for old1, old2, new1, new2 in _matches(old_keys, new_keys):
        added = new[new1:new2]
        if old2 - old1 == len(added):  # one for one
            times = [(word["start"], word["end"]) for word in words[old1:old2]]
        else:
            first, last = _available_time(words, old1, old2, start, end)
            times = _divide(first, last, [len(word) for word, _ in added])
        timed += [_stored(*word, at) for word, at in zip(added, times, strict=True)]
        if old_keys[old1:old2] == new_keys[new1:new2]:
            kept = timed[len(timed) - len(added) :]
            for before, after in zip(words[old1:old2], kept, strict=True):
                after.update(_known(before, "probability"))
    return [word | _known(words[0], "channel") for word in timed] if words else timed


def _known(word: StoredWord, name: str) -> StoredWord:
    return {name: word[name]} if name in word else {}


def _matches(old: list[str], new: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """All ranges `old[old1:old2]` with the ranges `new[new1:new2]` that correspond to them, in
    order, both equal and changed ones."""
    shorter = min(len(old), len(new))
    head = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    rest = shorter - head
    tail = next((n for n in range(rest) if old[-1 - n] != new[-1 - n]), rest)
    old_end, new_end = len(old) - tail, len(new) - tail
    yield 0, head, 0, head
    old_counts, new_counts = Counter(old[head:old_end]), Counter(new[head:new_end])
    if sum(count * new_counts[word] for word, count in old_counts.items()) > MAX_EQUAL_PAIRS:
        yield head, old_end, head, new_end
    else:
        matcher = SequenceMatcher(None, old[head:old_end], new[head:new_end], False)
        for _, old1, old2, new1, new2 in matcher.get_opcodes():
            yield head + old1, head + old2, head + new1, head + new2
    yield old_end, len(old), new_end, len(new)


def _available_time(
    words: list[StoredWord], old1: int, old2: int, start: float, end: float
) -> tuple[float, float]:
    """Start and end of the time for new words in the place of `words[old1:old2]`."""
    if old1 < old2:
        return words[old1]["start"], words[old2 - 1]["end"]
    first = words[old1 - 1]["end"] if old1 else start
    last = words[old1]["start"] if old1 < len(words) else end
    return first, max(first, last)


def _divide(start: float, end: float, lengths: list[int]) -> list[tuple[float, float]]:
    """`start` to `end` divided in proportion to `lengths`."""
    total, position, times = sum(lengths) or 1, 0, []
    for length in lengths:
        first = start + (end - start) * position / total
        position += length
        times.append((round(first, 3), round(start + (end - start) * position / total, 3)))
    return times


def _split(text: str) -> Iterator[tuple[str, bool]]:
    """Each word, and whether it follows the previous one without a space."""
    for match in _WORD.finditer(text):
        word = match[0].strip()
        yield word, match.start() > 0 and match[0] == word


def _stored(text: str, no_space_before: bool, times: tuple[float, float]) -> StoredWord:
    word = {"start": times[0], "end": times[1], "text": text}
    return word | {"no_space_before": True} if no_space_before else word


def _keys(words: Iterable[str]) -> list[str]:
    """Words in lower case without surrounding punctuation, for comparison."""
    return [re.sub(r"^\W+|\W+$", "", word.casefold()) or word for word in words]
