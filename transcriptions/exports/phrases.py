"""The cost of breaking a text after each of its words. Imports no Django."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

from gpu.scripts import UNSPACED
from gpu.segments import ends_clause, ends_sentence
from transcriptions.exports.characters import divides_character
from transcriptions.exports.function_words import FUNCTION_WORDS, FunctionWords
from transcriptions.exports.transcript import TimedWord

# Costs of a break after a word: lower is better.
AT_SENTENCE, AT_CLAUSE, AT_LINK, ANYWHERE = 0.0, 0.25, 0.4, 1.0
AFTER_OPENER, AFTER_NUMBER, AFTER_LINK, AFTER_DETERMINER = 1.6, 1.6, 2.5, 3.0
IN_NAME = IN_PHRASE = 2.2
FORBIDDEN = 50.0  # a line would begin with a comma, or with half a letter
PAUSE_S = 0.4  # after a pause a break is never worse than before a preposition
# Longer words of scripts without spaces are divided, because some models return sentences as one
# word.
MAX_UNSPACED_CHARS = 8
CAPITALIZED_NOUNS = {"de", "lb"}  # two capitalized words need not be a name there

_UNSPACED = re.compile(f"[{UNSPACED}]")
# Chinese and Japanese rules (kinsoku); vowels and tones that belong to the Thai or Lao letter
# before them, or after them.
_NO_LINE_START = re.compile(
    r"[\u0e2f-\u0e3a\u0e45-\u0e4e\u0eb0-\u0ebc\u0ec6-\u0ecd"
    r"、。，．・：；？！）］｝」』】〕》〉ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ々%％…]"
)
_NO_LINE_END = re.compile(r"[\u0e40-\u0e44\u0ec0-\u0ec4（［｛「『【〔《〈$￥]$")
_ALNUM_EDGE = re.compile(r"^[^\w]+|[^\w]+$")


def divided_words(words: Sequence[TimedWord], language: str) -> list[TimedWord]:
    """The words that have text; long ones of a script without spaces are divided into phrases,
    which share their time in proportion to their length."""
    return [part for word in words if word.text.strip() for part in _parts(word, language)]


def break_costs(words: Sequence[TimedWord], language: str, *, keep_phrases: bool) -> list[float]:
    """The cost of a break after each word. After the last one it is 0."""
    language = language.split("-")[0].lower()
    function_words = FUNCTION_WORDS.get(language) if keep_phrases else None
    is_phrase_end = _phrase_ends(words, language)
    costs = [
        _cost(word, following, function_words, language, is_end, keep_phrases)
        for (word, following), is_end in zip(pairwise(words), is_phrase_end, strict=False)
    ]
    return [*costs, AT_SENTENCE] if words else []


def _cost(
    word: TimedWord,
    following: TimedWord,
    function_words: FunctionWords | None,
    language: str,
    is_phrase_end: bool,
    keep_phrases: bool,
) -> float:
    if following.no_space_before and _is_forbidden(word.text, following.text):
        return FORBIDDEN
    if word.speaker != following.speaker or ends_sentence(word.text, following.text):
        return AT_SENTENCE
    if ends_clause(word.text):
        return AT_CLAUSE
    if not keep_phrases:
        return ANYWHERE
    if not is_phrase_end:
        return IN_PHRASE
    cost = _phrase_cost(word.text, following.text, function_words, language)
    return min(cost, AT_LINK) if following.start - word.end >= PAUSE_S else cost


def _phrase_cost(
    text: str, following: str, function_words: FunctionWords | None, language: str
) -> float:
    """The cost of a break between two words of a phrase."""
    if function_words:
        word, next_word = _bare(text), _bare(following)
        if word in function_words.determiners:
            return AFTER_DETERMINER
        if word in function_words.links:
            return AFTER_LINK
        if word in function_words.openers or word.split("'")[0] in function_words.openers:
            return AFTER_OPENER
        if next_word in function_words.links:
            return AT_LINK
    if text[-1:].isdigit():
        return AFTER_NUMBER
    is_name = following[:1].isupper() and language not in CAPITALIZED_NOUNS
    is_date = following[:1].isdigit()
    return IN_NAME if text[:1].isupper() and (is_name or is_date) else ANYWHERE


def _bare(text: str) -> str:
    return _ALNUM_EDGE.sub("", text).replace("’", "'").lower()


def _is_forbidden(text: str, following: str) -> bool:
    is_listed = _NO_LINE_START.match(following) or _NO_LINE_END.search(text)
    return bool(is_listed or divides_character(text, following))


def _phrase_ends(words: Sequence[TimedWord], language: str) -> list[bool]:
    """Whether a phrase ends with each word. In scripts with spaces, every word ends one."""
    ends = [True] * len(words)
    for first, last in _unspaced_runs(words):
        boundaries = set(_boundaries([w.text for w in words[first:last]], language))
        position = 0
        for index in range(first, last):
            position += len(words[index].text)
            ends[index] = position in boundaries
    return ends


def _unspaced_runs(words: Sequence[TimedWord]) -> Iterator[tuple[int, int]]:
    """Ranges of words that follow each other without spaces, in a script without spaces."""
    first = 0
    for index in range(1, len(words) + 1):
        if index == len(words) or not words[index].no_space_before:
            if index - first > 1 and _UNSPACED.search(words[first].text):
                yield first, index
            first = index


def _boundaries(texts: list[str], language: str) -> Iterator[int]:
    """Positions at which phrases end in the joined texts."""
    position = 0
    for phrase in _phrases("".join(texts), language):
        position += len(phrase)
        yield position


def _parts(word: TimedWord, language: str) -> Iterator[TimedWord]:
    if len(word.text) <= MAX_UNSPACED_CHARS or not _UNSPACED.search(word.text):
        yield word
        return
    phrases = [part for phrase in _phrases(word.text, language) for part in _short(phrase)]
    position, total = 0, len(word.text)
    for phrase in phrases:
        start = word.start + (word.end - word.start) * position / total
        is_first = position == 0
        position += len(phrase)
        yield replace(
            word,
            start=start,
            end=word.start + (word.end - word.start) * position / total,
            text=phrase,
            no_space_before=word.no_space_before if is_first else True,
        )


def _short(phrase: str) -> Iterator[str]:
    """The phrase, divided where it is longer than allowed and where a line may be broken."""
    first = 0
    for index in range(1, len(phrase)):
        is_long = index - first >= MAX_UNSPACED_CHARS
        if is_long and not _is_forbidden(phrase[:index], phrase[index:]):
            yield phrase[first:index]
            first = index
    yield phrase[first:]


def _phrases(text: str, language: str) -> list[str]:
    """The phrases of a text without spaces. Without a model for the language, each character is
    one."""
    parser = _parser(_model_name(text, language))
    return list(_whole_characters(parser.parse(text) if parser else text))


def _whole_characters(parts: Iterable[str]) -> Iterator[str]:
    """The parts, joined where a character is divided."""
    whole = ""
    for part in parts:
        if whole and not divides_character(whole, part):
            yield whole
            whole = ""
        whole += part
    if whole:
        yield whole


def _model_name(text: str, language: str) -> str:
    if language in {"ja", "th"}:
        return language
    if re.search(r"[\u3040-\u30ff]", text):
        return "ja"
    if re.search(r"[\u0e00-\u0e7f]", text):
        return "th"
    return "zh-hans" if re.search(r"[\u3400-\u9fff]", text) else ""


@lru_cache
def _parser(name: str) -> Any:
    """BudouX's models for Japanese, Chinese and Thai, loaded when needed, which takes 50 ms."""
    import budoux

    loaders = {
        "ja": budoux.load_default_japanese_parser,
        "zh-hans": budoux.load_default_simplified_chinese_parser,
        "th": budoux.load_default_thai_parser,
    }
    return loaders[name]() if name in loaders else None
