"""Text that was made up, repeated, or is missing is found by what the decoder returned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu.types import Decoding, Span, Word
from gpu.whisper import checks
from gpu.whisper.decoded import Decoded, DecodedWord


def spoken(text: str, start: float = 0.0, pace: float = 0.3) -> list[DecodedWord]:
    """The words of `text`, one each `pace` seconds."""
    return [
        DecodedWord(start + n * pace, start + (n + 1) * pace, word)
        for n, word in enumerate(text.split())
    ]


@pytest.mark.parametrize(
    ("decoding", "probability", "invented"),
    [
        (Decoding(-0.3, 0.1, 1.5), 0.9, False),
        (Decoding(-0.3, 0.9, 1.5), 0.9, False),  # quiet speech
        (Decoding(-1.4, 0.1, 1.5), 0.3, False),  # unclear speech
        (Decoding(-0.3, 0.58, 4.5), 0.7, False),  # a phrase that is spoken again and again
        (Decoding(-0.1, 0.65, 2.6), 0.9, False),  # clear announcements, each like the one before
        # What Whisper base returns for ...
        (Decoding(-1.35, 0.80, 0.78), 0.42, True),  # music: "I'll see you guys next time."
        (Decoding(-0.33, 0.85, 7.31), 0.83, True),  # music and noise: a loop
        (Decoding(-1.76, 0.85, 0.90), 0.25, True),  # noise
        (Decoding(-0.77, 0.73, 0.27), 0.07, True),  # silence: "You"
        (Decoding(-1.48, 0.53, 1.07), 0.33, True),  # clicks: "This video is sponsored by ..."
    ],
)
def test_text_is_invented_if_several_probabilities_say_so(
    decoding: Decoding, probability: float, invented: bool
) -> None:
    words = (DecodedWord(0, 1, "word", probability=probability),)
    assert checks.is_invented(Decoded(words, decoding)) == invented


TWICE = "Thank you very much. Thank you, very much!"


@pytest.mark.parametrize(
    ("text", "pace", "probability", "doubtful"),
    [
        (TWICE, 0.3, 0.9, False),  # spoken twice
        (TWICE, 0.05, 0.9, True),
        (TWICE, 0.3, 0.3, True),
        ("It was a very, very, very good day", 0.05, 0.3, False),
        ("one two three and one two three", 0.05, 0.3, False),
        ("", 0.3, 0.9, False),
    ],
)
def test_phrase_that_follows_itself_is_doubtful_if_it_was_hardly_spoken(
    text: str, pace: float, probability: float, doubtful: bool
) -> None:
    words = [replace(word, probability=probability) for word in spoken(text, pace=pace)]
    assert checks.has_doubtful_repetition(words) == doubtful


def test_speech_without_words_is_a_gap() -> None:
    words = [*spoken("one two three"), *spoken("four five", start=6)]
    speech = [Span(0, 3), Span(5.8, 10)]
    found = [(gap.start, gap.end) for gap in checks.gaps(words, speech)]
    assert found == [(pytest.approx(0.9), 3), (6.6, 10)]


def test_gaps_do_not_overlap_if_a_word_lasts_over_several_sentences() -> None:
    words = [DecodedWord(4.5, 12.6, "To"), DecodedWord(12.6, 13.1, "decrease")]
    speech = [Span(4.4, 8.5), Span(8.9, 12.1), Span(12.4, 13.1)]
    found = [(gap.start, gap.end) for gap in checks.gaps(words, speech)]
    assert found == [(pytest.approx(5.16), 8.5), (8.9, 12.1)]


def test_silence_without_words_is_no_gap() -> None:
    words = [*spoken("one two three"), *spoken("four five", start=6)]
    assert list(checks.gaps(words, [Span(0, 1.2), Span(5.8, 7)])) == []


def test_words_cover_only_the_time_that_it_takes_to_say_them() -> None:
    """The model stretches a word over a sentence that it leaves out."""
    (gap,) = checks.gaps([Word(0, 6, "one"), Word(6, 6.3, "two")], [Span(0, 6.3)])
    assert gap.start == pytest.approx(0.74)
    assert gap.end == 6


def test_speech_without_any_words_is_one_gap() -> None:
    assert list(checks.gaps([], [Span(0, 0.5), Span(1, 4)])) == [Span(1, 4)]


def test_words_found_in_a_gap_are_inserted_in_order() -> None:
    words = [*spoken("one two"), *spoken("five six", start=5)]
    found = spoken("three four", start=2)
    texts = [word.text for word in checks.inserted(words, found)]
    assert texts == ["one", "two", "three", "four", "five", "six"]


def test_words_that_were_there_before_are_not_inserted_again() -> None:
    words = [*spoken("one two"), *spoken("five six", start=5)]
    found = spoken("Two. three four five", start=0.9, pace=1)
    texts = [word.text for word in checks.inserted(words, found)]
    assert texts == ["one", "two", "three", "four", "five", "six"]
    assert checks.inserted(words, []) == words


def test_loop_has_words_without_duration() -> None:
    repeats = Decoding(-0.2, 0.0, 5.0)
    loop = Decoded(tuple(spoken("all day " * 20, pace=0.0)), repeats)
    assert checks.is_loop(loop)
    assert checks.spoken(loop) == ()
    song = Decoded(tuple(spoken("all day " * 20)), repeats)
    assert not checks.is_loop(song)
    assert checks.spoken(song) == song.words
    assert not checks.is_loop(Decoded(loop.words, Decoding(-0.2, 0.0, 1.5)))
