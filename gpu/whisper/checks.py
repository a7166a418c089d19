"""Checks of decoded text: whether it is hallucinated, repeated or missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gpu.types import Decoding, Span, Word
from gpu.whisper.decoded import Decoded, DecodedWord

# Limits of OpenAI's implementation: text with both a high probability of no speech and a low
# probability of its tokens is hallucinated; text that can be compressed further is a loop.
MAX_NO_SPEECH_PROB, MIN_AVG_LOGPROB = 0.6, -1.0
MAX_COMPRESSION_RATIO = 2.4
# For sounds such as clicks the model is less sure that there is no speech; then its words are
# improbable (on average).
MIN_NO_SPEECH_PROB, MIN_PROBABILITY = 0.5, 0.4
# Text with at least this probability was spoken: even clear sentences may have a high probability
# of no speech, and similar announcements can be compressed like a loop.
SURE_AVG_LOGPROB = -0.3
MIN_WORD_S = 0.04  # a word that is shorter was not spoken
MIN_SPOKEN_SHARE = 0.5  # of the words of a text; otherwise it is a loop
MIN_REPEATED_WORDS = 3  # speakers often repeat phrases of fewer words
# Mean limits for the words of a phrase that is repeated immediately.
MIN_REPEATED_WORD_S, MIN_REPEATED_PROBABILITY = 0.1, 0.5
MIN_GAP_S = 1.0  # speech without words that is worth another look
# A word lasts at most this long; time that the model assigns to it beyond that is a part without
# words.
MAX_WORD_S, MAX_CHARACTER_S = 0.5, 0.08


def is_invented(decoded: Decoded) -> bool:
    """Whether the text was probably not spoken, but hallucinated from music, noise or silence."""
    decoding, words = decoded.decoding, decoded.words
    probability = sum(word.probability or 0.0 for word in words) / max(len(words), 1)
    if decoding.no_speech_prob > MIN_NO_SPEECH_PROB and probability < MIN_PROBABILITY:
        return True
    is_improbable = decoding.avg_logprob < MIN_AVG_LOGPROB
    repeats = decoding.compression_ratio > MAX_COMPRESSION_RATIO
    return _is_silent(decoding) and (is_improbable or repeats)


def is_doubtful(decoded: Decoded) -> bool:
    """The same for a part in which the model had found no words before: one sign is enough."""
    decoding = decoded.decoding
    return _is_silent(decoding) or decoding.avg_logprob < MIN_AVG_LOGPROB


def _is_silent(decoding: Decoding) -> bool:
    is_sure = decoding.avg_logprob > SURE_AVG_LOGPROB
    return decoding.no_speech_prob > MAX_NO_SPEECH_PROB and not is_sure


def is_loop(decoded: Decoded) -> bool:
    """Whether the decoder returned the same words again and again, most of them with no
    duration."""
    return len(spoken(decoded)) < MIN_SPOKEN_SHARE * len(decoded.words)


def spoken(decoded: Decoded) -> tuple[DecodedWord, ...]:
    """The words; if they are a loop, only those that last long enough to be spoken: the alignment
    gives all others no duration."""
    if decoded.decoding.compression_ratio <= MAX_COMPRESSION_RATIO:
        return decoded.words
    return tuple(word for word in decoded.words if word.end - word.start >= MIN_WORD_S)


def has_doubtful_repetition(words: Sequence[Word]) -> bool:
    """Whether a phrase of several words is repeated immediately, and one of the two was probably
    not spoken: its words are too short or improbable."""
    texts = [plain(word.text) for word in words]
    return any(
        _is_hardly_spoken(words[start : start + length])
        or _is_hardly_spoken(words[start + length : start + 2 * length])
        for length in range(MIN_REPEATED_WORDS, len(texts) // 2 + 1)
        for start in range(len(texts) - 2 * length + 1)
        if texts[start : start + length] == texts[start + length : start + 2 * length]
    )


def _is_hardly_spoken(phrase: Sequence[Word]) -> bool:
    time = sum(word.end - word.start for word in phrase) / len(phrase)
    probability = sum(word.probability or 0.0 for word in phrase) / len(phrase)
    return time < MIN_REPEATED_WORD_S or probability < MIN_REPEATED_PROBABILITY


def gaps(words: Sequence[Word], spans: Iterable[Span]) -> Iterator[Span]:
    """Speech of at least MIN_GAP_S without words. Words and spans are in order of time."""
    for span in spans:
        position = span.start
        for word in words:
            longest = MAX_WORD_S + MAX_CHARACTER_S * len(word.text)
            if word.end > position and word.start < span.end:
                if word.start - position >= MIN_GAP_S:
                    yield Span(position, word.start)
                position = max(position, min(word.end, word.start + longest))
        if span.end - position >= MIN_GAP_S:
            yield Span(position, span.end)


def inserted(words: Sequence[DecodedWord], found: Sequence[DecodedWord]) -> list[DecodedWord]:
    """Adds words that were found in a gap, except for those at its edges that are already there."""
    if not found:
        return list(words)
    middle = (found[0].start + found[-1].end) / 2
    before = [word for word in words if word.middle < middle]
    after = [word for word in words if word.middle >= middle]
    first = 1 if before and plain(before[-1].text) == plain(found[0].text) else 0
    last = 1 if after and plain(after[0].text) == plain(found[-1].text) else 0
    return [*before, *found[first : len(found) - last], *after]


def plain(text: str) -> str:
    """The text without punctuation and capital letters."""
    return re.sub(r"\W", "", text).lower()
