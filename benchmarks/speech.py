"""Speech with its text, for measurements of speech engines.

The sample recording, and the prompts of Debian's package asterisk-core-sounds-en-g722: one speaker,
each prompt with its published text. They are not in the repository, because of their license.
"""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from gpu import pcm
from transcodio_site.sample import SAMPLE

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
PROMPT_TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
MIN_PROMPT_WORDS = 8
PAUSE_S = 0.5  # after each prompt


@dataclass(frozen=True)
class Speech:
    """Mono 16-bit samples at 24 kHz with the words that are spoken."""

    samples: np.ndarray
    text: str

    @property
    def seconds(self) -> float:
        """The duration."""
        return len(self.samples) / pcm.SAMPLE_RATE_HZ


def sample() -> Speech:
    """The sample recording of this repository."""
    return Speech(read(SAMPLE), SAMPLE.with_suffix(".txt").read_text())


def prompts(min_words: int = MIN_PROMPT_WORDS) -> Iterator[Speech]:
    """The long prompts, without those that a person could write in another way (digits)."""
    if not PROMPTS.is_dir():
        raise SystemExit("Install the speech: apt-get install asterisk-core-sounds-en-g722")
    for line in gzip.decompress(PROMPT_TEXTS.read_bytes()).decode().splitlines():
        name, _, text = line.partition(": ")
        path = PROMPTS / f"{name}.g722"
        is_plain = not re.search(r"[\d\[\]]", text)
        if is_plain and len(text.split()) >= min_words and path.is_file():
            yield Speech(read(path), text)


def long_recording(
    max_seconds: float = float("inf"), min_words: int = MIN_PROMPT_WORDS, skipped: float = 0.0
) -> Speech:
    """The sample and the prompts, with a pause after each; at most `max_seconds`.

    A share of them may be `skipped`: they come last.
    """
    pause = np.zeros(round(PAUSE_S * pcm.SAMPLE_RATE_HZ), dtype=np.int16)
    samples, texts, seconds = list[np.ndarray](), list[str](), 0.0
    parts = [sample(), *prompts(min_words)]
    first = round(skipped * len(parts))
    for part in parts[first:] + parts[:first]:
        seconds += part.seconds + PAUSE_S
        if seconds <= max_seconds:
            samples += [part.samples, pause]
            texts.append(part.text)
    return Speech(np.concatenate(samples), " ".join(texts))


def read(path: Path) -> np.ndarray:
    """Any file as prepared audio."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    output = ["-f", "s16le", "-ac", "1", "-ar", str(pcm.SAMPLE_RATE_HZ), "-"]
    done = subprocess.run([*command, *output], check=True, stdout=subprocess.PIPE)
    return np.frombuffer(done.stdout, dtype="<i2")
