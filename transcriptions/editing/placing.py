"""Puts a text in the place of the recognized words. Imports no Django.

A word that was also recognized keeps its times, its probability, its channel and its speaker. The
others get times between those of their neighbors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gpu.segments import MAX_SEGMENT_CHARACTERS
from transcriptions.editing.alignment import StoredWord, divide, keys, known_of, split
from transcriptions.editing.matching import Times, blocks

SECONDS_PER_CHARACTER = 0.07  # of words that were not recognized; about 14 characters per second


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the text, and the time range of its subtitle, in seconds."""

    text: str
    no_space_before: bool = False
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """A recognized word, with the language and the number of its segment."""

    word: StoredWord
    language: str = ""
    segment: int = 0


@dataclass(slots=True)
class Placed:
    """A word of the text with its times, and the words that were recognized in its place."""

    word: StoredWord
    language: str
    segment: int
    heard: list[StoredWord]
    is_edited: bool
    # The alternative, if the word is in doubt; empty: that of the word before it is for both.
    alternative: str | None = None


@dataclass(slots=True)
class Placement:
    """All words of a text. The counts are of words: `matched` were also recognized, `replaced`
    replace recognized ones, and `removed` were only recognized."""

    placed: list[Placed] = field(default_factory=list)
    matched: int = 0
    replaced: int = 0
    added: int = 0
    removed: int = 0

    @property
    def matching_share(self) -> float:
        """The matching share of the longer text, 0 to 1; 1 if nothing was recognized, since then
        nothing contradicts it."""
        text, heard = self.matched + self.replaced + self.added, self.matched + self.replaced
        if heard + self.removed == 0:
            return 1.0
        return self.matched / max(text, heard + self.removed)


def tokens_of(text: str) -> Iterator[Token]:
    """The words of a text without times. One that is too long for a segment is divided."""
    for word, no_space_before in split(text):
        for first in range(0, len(word), MAX_SEGMENT_CHARACTERS):
            part = word[first : first + MAX_SEGMENT_CHARACTERS]
            yield Token(part, no_space_before or first > 0)


def place(
    heard: Sequence[Heard],
    tokens: Sequence[Token],
    after: float,
    before: float,
    neighbor: Heard | None = None,
) -> Placement:
    """All tokens in order. Words that are added at the beginning or at the end get times between
    `after` and `before`, in seconds. Where nothing was recognized, their language is that of
    `neighbor`."""
    result, pending = Placement(), list[StoredWord]()
    next_heard = next_token = 0
    for index, first, last in (*_matches(heard, tokens), (len(heard), len(tokens), len(tokens))):
        gap, added = heard[next_heard:index], tokens[next_token:first]
        _count(result, len(gap), len(added))
        if added:
            follower = heard[index] if index < len(heard) else neighbor
            low = result.placed[-1].word["end"] if result.placed else after
            high = heard[index].word["start"] if index < len(heard) else before
            result.placed += _in_gap(result, gap, added, follower, low, max(low, high))
        elif result.placed:
            result.placed[-1].heard += [each.word for each in gap]
            result.placed[-1].is_edited |= bool(gap)
        else:
            pending = [each.word for each in gap]
        if index < len(heard):
            result.placed.append(_matched(heard[index], tokens[first:last]))
            result.matched += 1
        next_heard, next_token = index + 1, last
    if pending and result.placed:  # the text begins later than the recognized words
        result.placed[0].heard[:0] = pending
        result.placed[0].is_edited = True
    return result


def _matches(heard: Sequence[Heard], tokens: Sequence[Token]) -> Iterator[tuple[int, int, int]]:
    """Each recognized word that is in the text, with the range of its tokens: in scripts without
    spaces a word has several."""
    pieces, owners = list[str](), list[int]()
    for index, each in enumerate(heard):
        parts = [part for part, _ in split(each.word["text"])]
        pieces += parts
        owners += [index] * len(parts)
    starts = [token.start for token in tokens if token.start is not None]
    is_timed = bool(tokens) and len(starts) == len(tokens)
    times = Times([heard[n].word["start"] for n in owners], starts) if is_timed else None
    partners: dict[int, list[int]] = {}
    for block in blocks(keys(pieces), keys(token.text for token in tokens), times):
        if block.is_equal:
            for piece, token in zip(
                range(block.old1, block.old2), range(block.new1, block.new2), strict=True
            ):
                partners.setdefault(owners[piece], []).append(token)
    counts = dict[int, int]()
    for owner in owners:
        counts[owner] = counts.get(owner, 0) + 1
    for index, found in partners.items():
        first, last = found[0], found[-1] + 1
        is_whole = len(found) == counts[index] == last - first
        if is_whole and _is_one_word(heard[index].word["text"], tokens[first:last]):
            yield index, first, last


def _is_one_word(heard: str, tokens: Sequence[Token]) -> bool:
    """Whether the tokens are joined in the same way as the parts of the recognized word."""
    is_joined = [no_space_before for _, no_space_before in split(heard)]
    is_short = len(_joined(tokens)) <= MAX_SEGMENT_CHARACTERS
    return is_short and is_joined[1:] == [token.no_space_before for token in tokens[1:]]


def _joined(tokens: Sequence[Token]) -> str:
    rest = (f"{'' if token.no_space_before else ' '}{token.text}" for token in tokens[1:])
    return tokens[0].text + "".join(rest)


def _count(result: Placement, heard: int, added: int) -> None:
    result.replaced += min(heard, added)
    result.added += max(0, added - heard)
    result.removed += max(0, heard - added)


def _matched(heard: Heard, tokens: Sequence[Token]) -> Placed:
    text = _joined(tokens)
    word = _stored(
        Token(text, tokens[0].no_space_before), heard.word["start"], heard.word["end"]
    ) | known_of(heard.word, spoken=True)
    return Placed(word, heard.language, heard.segment, [heard.word], text != heard.word["text"])


def _in_gap(
    result: Placement,
    gap: Sequence[Heard],
    added: Sequence[Token],
    follower: Heard | None,
    low: float,
    high: float,
) -> Iterator[Placed]:
    """Tokens that replace the words of `gap`, which may be empty, between `low` and `high`."""
    is_one_for_one = len(gap) == len(added)
    if is_one_for_one:
        times = [(each.word["start"], each.word["end"]) for each in gap]
    else:
        times = list(_times(gap, added, low, high, at_start=not result.placed))
    neighbor = result.placed[-1] if result.placed else None
    for index, (token, at) in enumerate(zip(added, times, strict=True)):
        near = gap[min(index, len(gap) - 1)] if gap else neighbor or follower or Heard({})
        known = known_of(near.word, spoken=False)
        instead_of = gap[index : index + 1] if is_one_for_one else gap if index == 0 else ()
        heard = [each.word for each in instead_of]
        yield Placed(_stored(token, *at) | known, near.language, near.segment, heard, True)


def _times(
    gap: Sequence[Heard], added: Sequence[Token], low: float, high: float, at_start: bool
) -> Iterable[tuple[float, float]]:
    """Times for the words that replace the words of `gap`."""
    lengths = [len(token.text) for token in added]
    needed = SECONDS_PER_CHARACTER * sum(lengths)
    first, last = (gap[0].word["start"], gap[-1].word["end"]) if gap else (low, low)
    is_too_short = not gap or last - first < needed / 2
    by_subtitle = list(_by_subtitle(added, low, high)) if is_too_short else []
    if by_subtitle and by_subtitle[-1][1] - by_subtitle[0][0] >= min(needed, high - low) / 2:
        return by_subtitle
    if not gap and at_start:
        first, last = max(low, high - needed), high  # before the first word
    last = max(last, min(high, first + needed), first)
    inside = divide(first, last, lengths)
    return [(min(max(a, first), last), min(max(b, first), last)) for a, b in inside]


def _by_subtitle(added: Sequence[Token], low: float, high: float) -> Iterator[tuple[float, float]]:
    """The times of the tokens' subtitles, limited to `low` and `high`."""
    for token in added:
        if token.start is None or token.end is None:
            return
        start = min(max(token.start, low), high)
        low = min(max(token.end, start), high)
        yield start, low


def _stored(token: Token, start: float, end: float) -> StoredWord:
    word: StoredWord = {"start": start, "end": end, "text": token.text}
    return word | {"no_space_before": True} if token.no_space_before else word
