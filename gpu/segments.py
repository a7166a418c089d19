"""Words and pauses into segments: where one sentence ends and the next begins. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gpu.types import Partial, Segment, Word

SENTENCE_END = (".", "?", "!", "…", "。", "？", "！")  # noqa: RUF001 - Chinese and Japanese full stops
CLAUSE_END = (",", ";", ":", "，", "、", "；", "：")  # noqa: RUF001
CLOSING = "\"'”’»)]」』"  # noqa: RUF001 - quotes that may follow the stop
PAUSE = 1.2  # seconds of silence that end a segment whatever the punctuation
LONG = 12.0  # seconds after which a comma or a short breath is a good place to end
LONGEST = 20.0  # seconds at which a segment ends even in mid-sentence
BREATH = 0.35


def segments_of(words: Iterable[Word]) -> Iterator[Segment]:
    """Groups words into segments, lazily: each is yielded as soon as the word after it is known.

    Every word is in exactly one segment and the order is kept.
    """
    return (part for part in growing_segments(words) if isinstance(part, Segment))


def growing_segments(words: Iterable[Word]) -> Iterator[Partial | Segment]:
    """The same segments, and the words of the open one each time that another joins them."""
    held: list[Word] = []
    for word in words:
        if held and _ends(held, word):
            yield Segment(tuple(held))
            held = []
        held.append(word)
        yield Partial(tuple(held))
    if held:
        yield Segment(tuple(held))


def _ends(held: list[Word], coming: Word) -> bool:
    last, pause = held[-1], coming.start - held[-1].end
    length = last.end - held[0].start
    text = last.text.rstrip(CLOSING)
    if pause >= PAUSE or coming.end - held[0].start > LONGEST:
        return True
    if text.endswith(SENTENCE_END):
        return not (_is_abbreviation(text) or coming.text[:1].islower())
    return length >= LONG and (text.endswith(CLAUSE_END) or pause >= BREATH)


def _is_abbreviation(text: str) -> bool:
    """`Dr.`, `Mr.`, `e.g.` or an initial: a full stop that ends no sentence."""
    bare = text.rstrip(".").lower()
    return text.endswith(".") and (
        bare in {"mr", "mrs", "ms", "dr", "prof", "st", "vs", "e.g", "i.e", "jr", "sr"}
        or (len(bare) == 1 and bare.isalpha() and bare != "i")
    )
