"""Invented transcripts: words with the frequencies of a natural language (Zipf's law)."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
VOCABULARY = 30_000  # words of a language
ZIPF_EXPONENT = 1.05
SENTENCE_WORDS = (6, 22)
GERMAN = (
    "die der und in zu den das nicht von sie ist des sich mit dem dass er es ein ich auf so eine"
)
SPANISH = "de la que el en y a los se del las un por con no una su para es al lo como más o pero"
SYLLABLES = (
    "ba be bri da dor el en fa fu ga go hin is ka ker la lo ma mi na nor o pa pel ra ri sa tor"
)
KANA = "のはがをにでともしたていますれるこそあなから"
FIRST_KANJI, KANJI = 0x4E00, 3000


@dataclass(frozen=True, slots=True)
class Language:
    """The words of a language, the most frequent first."""

    code: str
    words: list[str]
    weights: list[float]  # cumulative
    separator: str = " "

    def sentences(self, count: int, rng: random.Random) -> list[str]:
        """Sentences, each being the text of a segment."""
        lengths = [rng.randint(*SENTENCE_WORDS) for _ in range(count)]
        words = iter(rng.choices(self.words, cum_weights=self.weights, k=sum(lengths)))
        return [self.separator.join(islice(words, length)) + "." for length in lengths]


def languages(seed: int) -> dict[str, Language]:
    """The languages of the benchmark by code."""
    rng = random.Random(seed)  # noqa: S311 - test data, not secrets
    words = {
        "en": _words_of_the_documentation(),
        "de": GERMAN.split(),
        "es": SPANISH.split(),
    }
    made = {code: _language(code, _complete(known, rng)) for code, known in words.items()}
    return made | {
        "ja": _language("ja", _unspaced(rng), ""),
        "zh": _language("zh", _unspaced(rng), ""),
    }


def _language(code: str, words: list[str], separator: str = " ") -> Language:
    weights = accumulate(1 / rank**ZIPF_EXPONENT for rank in range(1, len(words) + 1))
    return Language(code, words, list(weights), separator)


def _words_of_the_documentation() -> list[str]:
    texts = [path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))]
    texts.append((ROOT / "transcodio_site" / "sample" / "recording.txt").read_text())
    counts = Counter(re.findall(r"[a-z]{2,}|\b[ai]\b", " ".join(texts).lower()))
    return [word for word, _ in counts.most_common()]


def _complete(known: list[str], rng: random.Random) -> list[str]:
    """Add invented words."""
    words = dict.fromkeys(known)
    while len(words) < VOCABULARY:
        words["".join(rng.choices(SYLLABLES.split(), k=rng.randint(2, 5)))] = None
    return list(words)


def _unspaced(rng: random.Random) -> list[str]:
    """Words of a script without spaces: particles, then words of one to three characters."""
    words = dict.fromkeys(KANA)
    while len(words) < VOCABULARY:
        length = rng.randint(1, 3)
        characters = (int(KANJI * rng.random() ** 2) for _ in range(length))
        words["".join(chr(FIRST_KANJI + number) for number in characters)] = None
    return list(words)
