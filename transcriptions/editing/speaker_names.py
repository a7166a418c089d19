"""Which speakers of a new detection are those of an earlier one, so that names are kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from transcriptions.editing.alignment import StoredWord

MIN_SHARE = 0.5  # of a new speaker's speech that belongs to the earlier one


def names_by_talk(
    names: Mapping[int, str], earlier: Iterable[StoredWord], later: Iterable[StoredWord]
) -> dict[int, str]:
    """The names that users gave to speakers of `earlier` words, by the numbers that these speakers
    have in `later` words of the same recording."""
    matches = match_speakers(earlier, later) if names else {}
    return {number: names[before] for number, before in matches.items() if before in names}


def match_speakers(earlier: Iterable[StoredWord], later: Iterable[StoredWord]) -> dict[int, int]:
    """Maps the numbers of speakers in `later` words of a recording to those in `earlier` words, by
    the time in which both talk, the longest first. No two get the same number. Words whose speaker
    was not known before are not compared: the name of a single sentence becomes that of the voice.
    """
    new = list(_known(later))
    common, talk = defaultdict[tuple[int, int], float](float), defaultdict[int, float](float)
    compared: dict[int, StoredWord] = {}  # by id, because a word may overlap several
    for before, word, seconds in _overlaps(sorted(_known(earlier), key=_start), new):
        common[word["speaker"], before["speaker"]] += seconds
        compared[id(word)] = word
    for word in compared.values():
        talk[word["speaker"]] += word["end"] - word["start"]
    matches: dict[int, int] = {}
    for number, old in sorted(common, key=lambda pair: -common[pair]):
        is_free = number not in matches and old not in matches.values()
        if is_free and common[number, old] >= MIN_SHARE * talk[number]:
            matches[number] = old
    return matches


def _overlaps(
    earlier: list[StoredWord], later: list[StoredWord]
) -> Iterator[tuple[StoredWord, StoredWord, float]]:
    """All pairs of words that overlap, and for how many seconds. `earlier` is in order."""
    first = 0
    for word in sorted(later, key=_start):
        while first < len(earlier) and earlier[first]["end"] <= word["start"]:
            first += 1
        for index in range(first, len(earlier)):
            before = earlier[index]
            if before["start"] >= word["end"]:
                break
            seconds = min(before["end"], word["end"]) - max(before["start"], word["start"])
            if seconds > 0:
                yield before, word, seconds


def _known(words: Iterable[StoredWord]) -> Iterator[StoredWord]:
    return (word for word in words if word.get("speaker") is not None)


def _start(word: StoredWord) -> float:
    return float(word["start"])
