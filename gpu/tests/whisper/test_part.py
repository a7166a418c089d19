"""Windows whose text is wrong or incomplete are decoded again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu import pcm
from gpu.tests.conftest import WriteWav
from gpu.tests.wer import word_error_rate
from gpu.tests.whisper.conftest import TEN, text_of, words_of
from gpu.types import Audio, Engine, Span, Word
from gpu.whisper.decoded import Decoded
from gpu.whisper.model import Encoded, Model
from gpu.whisper.part import PIECE_S


def test_spoken_repetitions_are_kept(
    engine: Engine, write_wav: WriteWav, sample: Path, alone: list[Word]
) -> None:
    sun = next(word for word in alone if word.text == "sun")
    phrase = pcm.read_samples(sample, sun.start - 0.4, sun.start + 0.6)  # "the sun is low"
    path = write_wav(np.concatenate([phrase] * 5))
    words = words_of(engine, Audio(path, 5, (Span(0, 5),), "en"))
    assert len(words) > 10
    assert words[0].start < 1
    assert words[-1].end > 4


def test_speech_that_the_model_left_out_is_decoded_again(
    engine: Engine, sample: Path, alone: list[Word], monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = Model.decode
    decoded: list[float] = []

    def left_out(model: Model, encoded: Encoded, *arguments: Any) -> list[Decoded]:
        """Without the words of four seconds, at the first call."""
        decoded.extend(encoded.seconds)
        found = decode(model, encoded, *arguments)
        if len(decoded) > 1:
            return found
        return [
            replace(d, words=tuple(w for w in d.words if w.end <= 2 or w.start > 6)) for d in found
        ]

    monkeypatch.setattr(Model, "decode", left_out)
    words = words_of(engine, Audio(sample, 10, (TEN,), "en"))
    assert word_error_rate(text_of(alone), text_of(words)) < 0.1
    assert decoded[0] == 10
    assert all(seconds < 6 for seconds in decoded[1:])  # not the whole window


# Two windows: 9.5 s, and 18.1 s that can be cut into pieces at 19.8 s.
TWO_WINDOWS = (Span(0.1, 9.6), Span(9.9, 19.8), Span(19.9, 28))


def with_sentences_left_out(decoded: Decoded) -> Decoded:
    """The first and the last words of a window: the model gives them the time of the others."""
    early = [word for word in decoded.words if word.end < 3]
    late = [replace(w, start=w.start - 9, end=w.end - 9) for w in decoded.words if w.start > 13]
    return replace(decoded, words=(*early, *late))


@pytest.mark.slow
def test_sentences_that_were_left_out_are_found_in_short_pieces(
    engine: Engine, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = Audio(sample, 28, TWO_WINDOWS, "en")
    whole = text_of(words_of(engine, audio))
    decode = Model.decode

    def left_out(model: Model, encoded: Encoded, *arguments: Any) -> list[Decoded]:
        found = decode(model, encoded, *arguments)
        is_window = max(encoded.seconds) > PIECE_S
        return list(map(with_sentences_left_out, found)) if is_window else found

    monkeypatch.setattr(Model, "decode", left_out)
    assert word_error_rate(whole, text_of(words_of(engine, audio))) < 0.05


@pytest.mark.slow
def test_words_of_pieces_are_not_taken_if_there_are_fewer(
    engine: Engine, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = Model.decode

    def left_out(model: Model, encoded: Encoded, *arguments: Any) -> list[Decoded]:
        found = decode(model, encoded, *arguments)
        is_window = max(encoded.seconds) > PIECE_S
        return [
            with_sentences_left_out(decoded) if is_window else replace(decoded, words=())
            for decoded in found
        ]

    monkeypatch.setattr(Model, "decode", left_out)
    text = text_of(words_of(engine, Audio(sample, 28, TWO_WINDOWS, "en")))
    assert text.startswith("A friendly fisherman waved")
    assert text.endswith("I asked her how she kept...")
