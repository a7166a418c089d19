"""The parts of faster-whisper's model that windows of a recording need."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import (
    get_compression_ratio,
    get_suppressed_tokens,
    merge_punctuations,
)

from gpu.types import Decoding, RecognitionOptions
from gpu.whisper.decoded import SAMPLE_RATE_HZ, Decoded, DecodedWord, Samples

FRAMES_PER_S = 100  # of the features
MAX_FRAMES = 3000  # the model was trained with windows of 30 s
POSITIONS_PER_S = 50  # of the encoder's output
# Windows of up to 10 s are padded by only 5 s: twice as fast, with the same words. With 1 s of
# padding the words are wrong.
SHORT_WINDOW_S, SHORT_PADDING_S = 10.0, 5.0
# The length of a window is a multiple of this: oneDNN keeps up to 1.5 MB for each length that it
# has seen, and live speech has a new length every second.
LENGTH_STEP_FRAMES = 50
BEAM_SIZE = 2  # larger ones are slower and no better: benchmarks/results/README.md
# Scripts that the tokenizer does not know take several tokens per character. Without a limit, a
# decoder in a loop would take as long for one second of audio as for half a minute.
MIN_TOKENS, MAX_TOKENS_PER_S = 30, 25
PREPENDED, APPENDED = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - marks of all languages


@dataclass(frozen=True, slots=True)
class Encoded:
    """Encoded windows. `seconds` has the length of each one without its padding."""

    output: ctranslate2.StorageView  # [windows, positions, dimensions]
    seconds: tuple[float, ...]


class Model:
    """Encodes and decodes windows together. Each call runs on one core; thread-safe."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.whisper = WhisperModel(
            str(folder),
            device="cpu",
            compute_type="int8",
            cpu_threads=1,
            num_workers=workers,
        )
        self._tokenizer = lru_cache(self._new_tokenizer)

    @property
    def languages(self) -> Sequence[str]:
        """The codes of all languages that the model knows."""
        return list(self.whisper.supported_languages)

    @property
    def is_multilingual(self) -> bool:
        """Whether the model knows languages other than English, and can translate."""
        return bool(self.whisper.model.is_multilingual)

    def encode(self, windows: Sequence[Samples]) -> Encoded:
        """Encode windows of up to 30 s."""
        seconds = tuple(len(window) / SAMPLE_RATE_HZ for window in windows)
        frames = MAX_FRAMES
        if max(seconds) <= SHORT_WINDOW_S:
            steps = math.ceil((max(seconds) + SHORT_PADDING_S) * FRAMES_PER_S / LENGTH_STEP_FRAMES)
            frames = steps * LENGTH_STEP_FRAMES
        features = [self.whisper.feature_extractor(window)[..., :-1] for window in windows]
        padded = np.stack([pad_or_trim(feature, frames) for feature in features])
        return Encoded(self.whisper.encode(padded), seconds)

    def language_probabilities(
        self, encoded: Encoded, window: int, start: float, end: float
    ) -> dict[str, float]:
        """How probable each language is between two times (seconds) of an encoded window.

        The padding of the window stays behind the part: the model has never heard speech without
        it, and finds haphazard languages in a few seconds (benchmarks/languages.py).
        """
        first, last, padding = (
            round(at * POSITIONS_PER_S) for at in (start, end, encoded.seconds[window])
        )
        whole = np.asarray(encoded.output)[window : window + 1]
        part = np.concatenate([whole[:, first:last], whole[:, max(last, padding) :]], axis=1)
        view = ctranslate2.StorageView.from_array(part)
        (languages,) = self.whisper.model.detect_language(view)
        return {token.strip("<|>"): probability for token, probability in languages}

    def decode(
        self,
        encoded: Encoded,
        language: str,
        options: RecognitionOptions,
        temperature: float = 0.0,
        prefix: Sequence[int] = (),
    ) -> list[Decoded]:
        """The text of each window. Uses beam search, or samples one text if a temperature is given.

        `prefix` has the tokens that each text begins with. They are not returned.
        """
        tokenizer = self._tokenizer(language, options.translate)
        prompt = [*self._prompt(tokenizer, options), *prefix]
        max_tokens = MIN_TOKENS + round(MAX_TOKENS_PER_S * max(encoded.seconds))
        results = self.whisper.model.generate(
            encoded.output,
            [prompt] * len(encoded.seconds),
            beam_size=1 if temperature else BEAM_SIZE,
            sampling_temperature=temperature,
            sampling_topk=0 if temperature else 1,
            max_length=min(self.whisper.max_length, len(prompt) + max_tokens),
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            return_scores=True,
            return_no_speech_prob=True,
        )
        sequences = [result.sequences_ids[0] for result in results]
        texts = [[token for token in ids if token < tokenizer.eot] for ids in sequences]
        decodings = [
            Decoding(
                avg_logprob=result.scores[0] * len(ids) / (len(ids) - len(prefix) + 1),
                no_speech_prob=result.no_speech_prob,
                compression_ratio=_compression_ratio(tokenizer.decode(text[len(prefix) :])),
                temperature=temperature,
            )
            for result, ids, text in zip(results, sequences, texts, strict=True)
        ]
        frames = [round(seconds * FRAMES_PER_S) for seconds in encoded.seconds]
        alignments = self.whisper.find_alignment(tokenizer, texts, encoded.output, frames)
        return [
            Decoded(_words(alignment, decoding, len(prefix)), decoding)
            for alignment, decoding in zip(alignments, decodings, strict=True)
        ]

    def _prompt(self, tokenizer: Tokenizer, options: RecognitionOptions) -> list[int]:
        """A prompt without timestamps: the model writes more of the periods, and is faster. It also
        leaves out more sentences, but those are found by `gpu.whisper.checks`.

        Keywords and the end of the prompt share half of the context, and neither takes all of it.
        """
        limit = self.whisper.max_length // 2 - 1
        text = tokenizer.encode(f" {options.prompt.strip()}") if options.prompt.strip() else []
        listed = _list(tokenizer, options.keywords, limit - min(len(text), limit // 2))
        text = text[max(0, len(text) + len(listed) - limit) :]
        prompt: list[int] = self.whisper.get_prompt(
            tokenizer, listed + text, without_timestamps=True
        )
        return prompt

    def _new_tokenizer(self, language: str, translate: bool) -> Tokenizer:
        return Tokenizer(
            self.whisper.hf_tokenizer,
            self.is_multilingual,
            task="translate" if translate else "transcribe",
            language=language,
        )


def _list(tokenizer: Tokenizer, keywords: Iterable[str], max_tokens: int) -> list[int]:
    """The first keywords that fit, as a sentence: after a list without a period, the model writes
    no periods, either."""
    tokens = list[int]()
    for keyword in keywords:
        more = tokenizer.encode(f", {keyword}" if tokens else f" {keyword}")
        if len(tokens) + len(more) >= max_tokens:
            break
        tokens += more
    return [*tokens, *tokenizer.encode(".")] if tokens else []


def _words(
    alignment: list[dict[str, Any]], decoding: Decoding, prefix: int
) -> tuple[DecodedWord, ...]:
    """The words that begin after the first `prefix` tokens."""
    merge_punctuations(alignment, PREPENDED, APPENDED)
    starts = accumulate((len(word["tokens"]) for word in alignment), initial=0)
    return tuple(
        DecodedWord(
            float(word["start"]),
            float(word["end"]),
            word["word"].strip(),
            no_space_before=not word["word"].startswith(" "),
            probability=round(float(word["probability"]), 4),
            tokens=tuple(word["tokens"]),
            decoding=decoding,
        )
        for word, start in zip(alignment, starts, strict=False)
        if start >= prefix and word["word"].strip()
    )


def _compression_ratio(text: str) -> float:
    """The compression ratio of the stripped text, as in OpenAI's implementation."""
    return float(get_compression_ratio(text.strip())) if text.strip() else 0.0
