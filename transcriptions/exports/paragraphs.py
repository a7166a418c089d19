"""Divides the words of a transcript into paragraphs. Imports no Django.

If people have divided the text on its page, its paragraphs are those of the page. If nobody has, a
change of speaker starts a paragraph, and within what a speaker says, a dynamic program over
sentences finds the division with the lowest cost:

- a paragraph has at most MAX_SENTENCES sentences and at most MAX_LENGTH letters, in any case;
- each sentence fewer than MIN_SENTENCES costs TOO_SHORT;
- a start within a sentence costs INSIDE_SENTENCE;
- the further its length is from TARGET_LENGTH, the more it costs;
- a start costs less where the pause is long, where the topic changes, and with a word that often
  starts a paragraph; it costs more with a word that refers to the sentence before.
"""

from __future__ import annotations

import re
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import inf

from gpu.scripts import CJK
from gpu.segments import ends_clause, ends_sentence
from transcriptions.exports.topics import topic_changes
from transcriptions.exports.transcript import Paragraph, TimedWord, join_words

MIN_SENTENCES, MAX_SENTENCES = 3, 8
# Letters with spaces; a Chinese, Japanese or Korean character counts as two.
TARGET_LENGTH, MAX_LENGTH = 500, 1000
# A longer "sentence" has no punctuation. It is divided where speech pauses.
MAX_SENTENCE_LENGTH = MAX_LENGTH // MIN_SENTENCES
MIN_PART_LENGTH = MAX_SENTENCE_LENGTH // 4
COMMA_S = 0.3  # a comma is as good a place as a pause of this length

TOO_SHORT, INSIDE_SENTENCE = 1e6, 10.0
LENGTH_WEIGHT, PAUSE_WEIGHT, TOPIC_WEIGHT, OPENER_WEIGHT, CONTINUER_WEIGHT = 1.0, 1.0, 0.6, 0.4, 0.6
MAX_PAUSE_S = 2.0  # longer pauses count as this

OPENERS = {
    "de": "also anschließend außerdem jetzt nun schließlich übrigens zuerst zunächst zuletzt",
    "en": "anyway finally first furthermore however let's meanwhile next now okay right second so"
    " well",
    "es": "ahora bien además bueno entonces finalmente luego primero",
    "fr": "alors bon d'abord enfin ensuite maintenant puis",
    "it": "allora dunque adesso infine inoltre ora poi prima",
    "pt": "agora além bom então depois finalmente primeiro",
}
# Words that refer to the sentence before, or continue it.
CONTINUERS = {
    "de": "aber dabei damit das dem denn der deren dessen die dies diese dieser dieses er es ihm"
    " ihn ihr ihre oder sein seine sie sondern und",
    "en": "and because but he her his it it's its or she she's that that's their these they they're"
    " this those which",
    "es": "aquel aquella ella ellas ellos esa ese eso esta este esto o pero porque sus y él",
    "fr": "ce cela ces cet cette elle elles et il ils leur lui mais ou parce sa ses son ça",
    "it": "e egli essi ella ma o perché questa queste questi questo quella quelle quelli quello"
    " lei loro lui suo sua",
    "pt": "aquela aquele e ela elas ele eles essa esse esta este isso isto mas ou porque seu sua",
}

_FULL_WIDTH = re.compile(f"[{CJK}\uac00-\ud7a3]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words of one speaker that stay in one paragraph."""

    words: tuple[TimedWord, ...]
    length: int  # letters, see MAX_LENGTH
    continues: bool = False  # it starts within a sentence that is longer than MAX_SENTENCE_LENGTH


def paragraphs(words: Sequence[TimedWord], language: str = "") -> list[Paragraph]:
    """All words, in order, in readable paragraphs."""
    if any(word.begins_paragraph is not None for word in words):
        return [Paragraph(tuple(turn)) for turn in _turns(words)]
    gains = dict.fromkeys(OPENERS.get(language, "").split(), OPENER_WEIGHT)
    gains |= dict.fromkeys(CONTINUERS.get(language, "").split(), -CONTINUER_WEIGHT)
    turns = [list(sentences(turn)) for turn in _turns(words)]
    texts = [join_words(sentence.words) for turn in turns for sentence in turn]
    topics = iter(topic_changes(texts))
    return [
        Paragraph(tuple(word for sentence in group for word in sentence.words))
        for turn in turns
        for group in _divided(turn, [next(topics) for _ in turn], gains)
    ]


def _turns(words: Iterable[TimedWord]) -> Iterator[list[TimedWord]]:
    """The words, divided where the speaker changes or a paragraph of the page begins."""
    current: list[TimedWord] = []
    for word in words:
        if current and (word.begins_paragraph or word.speaker != current[-1].speaker):
            yield current
            current = []
        current.append(word)
    if current:
        yield current


def sentences(words: Iterable[TimedWord]) -> Iterator[Sentence]:
    """The sentences of one speaker, divided where they are longer than MAX_SENTENCE_LENGTH."""
    current: list[TimedWord] = []
    for word in words:
        if current and ends_sentence(current[-1].text, word.text):
            yield from _parts(current)
            current = []
        current.append(word)
    if current:
        yield from _parts(current)


def _parts(words: list[TimedWord]) -> Iterator[Sentence]:
    """The whole sentence, or its parts, divided at commas and pauses."""
    offsets = [0, *accumulate(map(_length, words))]
    start, divided = 0, offsets[-1] <= MAX_LENGTH
    while start < len(words):
        end = _end_of_part(words, offsets, start)
        part = tuple(words[start:end])
        yield Sentence(part, offsets[end] - offsets[start], divided and start > 0)
        start = end


def _end_of_part(words: list[TimedWord], offsets: list[int], start: int) -> int:
    """Where the part of a sentence that begins at `start` ends."""
    first = bisect_left(offsets, offsets[start] + MIN_PART_LENGTH)
    last = bisect_right(offsets, offsets[start] + MAX_SENTENCE_LENGTH) - 1
    if last == len(words):
        return last
    ends = range(max(first, start + 1), last + 1)
    return max(ends, key=lambda end: _break_quality(words[end - 1], words[end]), default=start + 1)


def _break_quality(before: TimedWord, after: TimedWord) -> float:
    """How suitable a place is for dividing a sentence, in seconds of pause."""
    return after.start - before.end + (COMMA_S if ends_clause(before.text) else 0.0)


def _length(word: TimedWord) -> int:
    """Letters with the space before it."""
    full_width = len(_FULL_WIDTH.findall(word.text))
    return len(word.text) + full_width + (not word.no_space_before)


def _divided(
    sentences: list[Sentence], topics: list[float], gains: Mapping[str, float]
) -> Iterator[list[Sentence]]:
    """The sentences of one speaker in groups: see above for what a division costs."""
    offsets = [0, *accumulate(sentence.length for sentence in sentences)]
    starts = _start_costs(sentences, topics, gains)
    before, previous = [0.0], [0]  # cost of the best division that ends before each sentence
    for end in range(1, len(sentences) + 1):
        options = (
            (before[start] + _size_cost(end - start, offsets[end] - offsets[start]), start)
            for start in range(max(0, end - MAX_SENTENCES), end)
        )
        cost, start = min(options)
        before.append(cost + (starts[end] if end < len(sentences) else 0.0))
        previous.append(start)
    ends = [len(sentences)]
    while ends[-1]:
        ends.append(previous[ends[-1]])
    return (sentences[start:end] for end, start in reversed(list(pairwise(ends))))


def _size_cost(count: int, length: int) -> float:
    """What a paragraph of `count` sentences and `length` letters costs."""
    if length > MAX_LENGTH and count > 1:
        return inf
    missing = max(0, MIN_SENTENCES - count)
    return TOO_SHORT * missing + LENGTH_WEIGHT * (length / TARGET_LENGTH - 1) ** 2


def _start_costs(
    sentences: list[Sentence], topics: list[float], gains: Mapping[str, float]
) -> list[float]:
    """The cost of starting a paragraph with each sentence, less the gain from its first word. The
    first sentence always starts one."""
    pauses = [
        min(after.words[0].start - before.words[-1].end, MAX_PAUSE_S)
        for before, after in pairwise(sentences)
    ]
    usual = statistics.median(pauses) if pauses else 0.0
    costs = [0.0]
    for sentence, topic, pause in zip(sentences[1:], topics[1:], pauses, strict=True):
        word = sentence.words[0].text.rstrip(",").casefold().replace("’", "'")  # noqa: RUF001
        gain = PAUSE_WEIGHT * (pause - usual) + TOPIC_WEIGHT * topic + gains.get(word, 0.0)
        costs.append(INSIDE_SENTENCE * sentence.continues - gain)
    return costs
