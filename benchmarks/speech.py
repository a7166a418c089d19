"""Speech with its text, for measurements of speech engines.

The sample recording, and the prompts of Debian's packages asterisk-core-sounds-*-g722: one speaker
in each language, each prompt with its published text. They are not in the repository, because of
their license.
"""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from gpu import pcm
from transcodio_site.sample import SAMPLE

SOUNDS, TEXTS = Path("/usr/share/asterisk/sounds"), Path("/usr/share/doc")
VOICES = {
    "en": "en_US_f_Allison",
    "es": "es_MX_f_Allison",
    "fr": "fr_CA_f_June",
    "it": "it_IT_m_Carlo",
    "ru": "ru_RU_f_IvrvoiceRU",
}
MIN_PROMPT_WORDS = 8
PAUSE_S = 0.5  # after each prompt


@dataclass(frozen=True)
class Speech:
    """Mono 16-bit samples at 24 kHz, with the spoken words."""

    samples: np.ndarray
    text: str

    @property
    def seconds(self) -> float:
        """The duration."""
        return len(self.samples) / pcm.SAMPLE_RATE_HZ


def sample() -> Speech:
    """The sample recording of this repository."""
    return Speech(read(SAMPLE), SAMPLE.with_suffix(".txt").read_text())


def prompts(min_words: int = MIN_PROMPT_WORDS, language: str = "en") -> Iterator[Speech]:
    """The long prompts, without those that can be written in different ways (digits)."""
    folder, package = SOUNDS / VOICES[language], f"asterisk-core-sounds-{language}"
    if not folder.is_dir():
        raise SystemExit(f"Install the speech: apt-get install {package}-g722")
    texts = TEXTS / package / f"core-sounds-{language}.txt.gz"
    for line in gzip.decompress(texts.read_bytes()).decode(errors="replace").splitlines():
        name, _, text = line.partition(": ")
        path = folder / f"{name}.g722"
        is_plain = not re.search(r"[\d\[\]]", text)
        if is_plain and len(text.split()) >= min_words and path.is_file():
            yield Speech(read(path), text)


def long_recording(
    max_seconds: float = float("inf"), min_words: int = MIN_PROMPT_WORDS, skipped: float = 0.0
) -> Speech:
    """The sample and the prompts, with a pause after each; at most `max_seconds`.

    `skipped` is the share of the parts to move to the end.
    """
    parts = [sample(), *prompts(min_words)]
    first = round(skipped * len(parts))
    return joined(parts[first:] + parts[:first], max_seconds)


def joined(parts: Iterable[Speech], max_seconds: float) -> Speech:
    """The parts with a pause after each, without those that would exceed `max_seconds`."""
    pause = np.zeros(round(PAUSE_S * pcm.SAMPLE_RATE_HZ), dtype=np.int16)
    samples, texts, seconds = list[np.ndarray](), list[str](), 0.0
    for part in parts:
        seconds += part.seconds + PAUSE_S
        if seconds <= max_seconds:
            samples += [part.samples, pause]
            texts.append(part.text)
    return Speech(np.concatenate(samples), " ".join(texts))


def read(path: Path) -> np.ndarray:
    """Read any file as prepared audio."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    output = ["-f", "s16le", "-ac", "1", "-ar", str(pcm.SAMPLE_RATE_HZ), "-"]
    done = subprocess.run([*command, *output], check=True, stdout=subprocess.PIPE)
    return np.frombuffer(done.stdout, dtype="<i2")
