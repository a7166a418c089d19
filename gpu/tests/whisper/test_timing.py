"""Words begin and end with their sound."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.whisper.decoded import SAMPLE_RATE_HZ, DecodedWord, Samples
from gpu.whisper.timing import refine


def sound(*parts: tuple[float, float]) -> Samples:
    """Noise, as (seconds, amplitude)."""
    random = np.random.default_rng(1)
    noise = [a * random.standard_normal(round(s * SAMPLE_RATE_HZ)) for s, a in parts]
    return np.concatenate(noise).astype(np.float32)


QUIET, LOUD = 0.001, 0.1
SPEECH = sound((0.5, QUIET), (1.0, LOUD), (0.7, QUIET), (0.4, LOUD), (0.4, QUIET))


def test_pause_after_a_word_is_no_part_of_it() -> None:
    one, two = refine([DecodedWord(0.5, 2.2, "one"), DecodedWord(2.2, 3.0, "two")], SPEECH)
    assert (one.start, two.start) == (0.5, 2.2)
    assert [one.end, two.end] == pytest.approx([1.5, 2.6], abs=0.05)


def test_pause_before_a_word_is_no_part_of_it() -> None:
    (word,) = refine([DecodedWord(0.0, 1.5, "one")], SPEECH)
    assert [word.start, word.end] == pytest.approx([0.5, 1.5], abs=0.05)


def test_word_ends_with_its_sound() -> None:
    """The model ends it earlier."""
    words = [DecodedWord(0.5, 1.2, "one"), DecodedWord(1.9, 2.3, "two")]
    assert [word.end for word in refine(words, SPEECH)] == pytest.approx([1.5, 2.6], abs=0.03)


def test_word_ends_before_the_next_one() -> None:
    words = [DecodedWord(0.5, 0.9, "one"), DecodedWord(1.1, 1.5, "two")]
    assert [word.end for word in refine(words, SPEECH)] == [1.1, 1.5]


def test_pause_within_a_word_is_kept() -> None:
    (word,) = refine([DecodedWord(0.5, 2.6, "thir-teen")], SPEECH)
    assert (word.start, word.end) == (0.5, 2.6)


def test_quiet_word_keeps_its_times() -> None:
    words = [DecodedWord(0.0, 0.4, "um"), DecodedWord(1.6, 2.1, "hm")]
    assert refine(words, SPEECH) == words


@pytest.mark.parametrize("samples", [sound((2.0, LOUD)), sound((0.001, LOUD))])
def test_nothing_is_trimmed_without_quiet_and_loud_parts(samples: Samples) -> None:
    words = [DecodedWord(0.2, 1.8, "one")]
    assert refine(words, samples) == words
