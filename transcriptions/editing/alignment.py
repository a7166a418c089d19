"""Words and their times after a person has corrected the text. Pure: knows nothing of Django."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import Any

from transcriptions.scripts import UNSPACED

StoredWord = dict[str, Any]  # {"start", "end", "text"} and "glued" where no space comes before

# In scripts that put no space between words every letter is a word of its own.
_WORD = re.compile(rf"\s*(?:[{UNSPACED}]|[^\s{UNSPACED}]+)")

# Pairs of equal words that are weighed against each other: a few words, said over and over, would
# keep the comparison busy for minutes.
WEIGHED = 150 * 150


def realign_words(words: list[StoredWord], text: str, start: float, end: float) -> list[StoredWord]:
    """The words of `text`. Those that were there before keep their times; others share the time of
    what they replace, or that between their neighbours. `start` and `end`: the segment's, seconds.
    """
    new = list(_words(text))
    timed: list[StoredWord] = []
    for a1, a2, b1, b2 in _changes(_keys(w["text"] for w in words), _keys(w for w, _ in new)):
        added = new[b1:b2]
        if a2 - a1 == len(added):  # one for one
            times = [(word["start"], word["end"]) for word in words[a1:a2]]
        else:
            first, last = _room(words, a1, a2, start, end)
            times = _shared(first, last, [len(word) for word, _ in added])
        timed += [_stored(word, glued, at) for (word, glued), at in zip(added, times, strict=True)]
    return timed


def _changes(old: list[str], new: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """Stretches `old[a1:a2]` that became `new[b1:b2]`, in order, those that stay among them."""
    most = min(len(old), len(new))
    head = next((n for n in range(most) if old[n] != new[n]), most)
    rest = most - head
    tail = next((n for n in range(rest) if old[-1 - n] != new[-1 - n]), rest)
    a, b = len(old) - tail, len(new) - tail
    yield 0, head, 0, head
    counts, others = Counter(old[head:a]), Counter(new[head:b])
    if sum(count * others[word] for word, count in counts.items()) > WEIGHED:
        yield head, a, head, b
    else:
        matcher = SequenceMatcher(None, old[head:a], new[head:b], False)
        for _, a1, a2, b1, b2 in matcher.get_opcodes():
            yield head + a1, head + a2, head + b1, head + b2
    yield a, len(old), b, len(new)


def _room(
    words: list[StoredWord], a1: int, a2: int, start: float, end: float
) -> tuple[float, float]:
    """From when to when words can have been said that stand in place of `words[a1:a2]`."""
    if a1 < a2:
        return words[a1]["start"], words[a2 - 1]["end"]
    first = words[a1 - 1]["end"] if a1 else start
    last = words[a1]["start"] if a1 < len(words) else end
    return first, max(first, last)


def _shared(start: float, end: float, lengths: list[int]) -> list[tuple[float, float]]:
    """`start` to `end` divided by `lengths`."""
    whole, passed, times = sum(lengths) or 1, 0, []
    for length in lengths:
        first = start + (end - start) * passed / whole
        passed += length
        times.append((round(first, 3), round(start + (end - start) * passed / whole, 3)))
    return times


def _words(text: str) -> Iterator[tuple[str, bool]]:
    for match in _WORD.finditer(text):
        word = match[0].strip()
        yield word, match.start() > 0 and match[0] == word


def _stored(text: str, glued: bool, at: tuple[float, float]) -> StoredWord:
    word = {"start": at[0], "end": at[1], "text": text}
    return word | {"glued": True} if glued else word


def _keys(words: Iterable[str]) -> list[str]:
    """Words are the same whatever their case and the punctuation around them."""
    return [re.sub(r"^\W+|\W+$", "", word.casefold()) or word for word in words]
