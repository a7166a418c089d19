"""Measure where words end before pauses: python -m benchmarks.word_ends

The sample recording is transcribed with and without `gpu.whisper.timing`, and the ends of its words
before pauses are compared with those that were read from its waveform and spectrogram, to 20 ms.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from pathlib import Path
from unittest import mock

from gpu.types import Audio, Segment, Word
from gpu.whisper import WhisperEngine, timing
from transcodio_site.sample import SAMPLE
from transcriptions.processing.media.program import ffmpeg_binary

# The last words before each pause, with the second at which their sound ends.
READ = (
    ("morning.", 1.00),
    ("harbor,", 3.12),
    ("up.", 5.11),  # after the release of the plosive
    ("sea,", 6.87),
    ("bread.", 9.39),
    ("boat.", 12.53),
    ("full.", 16.33),
    ("cat.", 19.63),
    ("happy.", 21.70),
    ("corner,", 23.46),
    ("oranges.", 26.35),
    ("down.", 29.36),
    ("slowly.", 33.84),
    ("advice.", 36.24),
    ("coffee,", 38.76),
    ("window,", 40.40),
    ("home.", 42.20),
    ("soon.", 43.50),
)
NEAR_S = 1.0


def main() -> None:
    """Print the errors in milliseconds: the median, and the largest."""
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        audio = _prepared(Path(folder))
        refined = _errors_ms(_words(audio))
        with mock.patch.object(timing, "refine", lambda words, samples: list(words)):
            plain = _errors_ms(_words(audio))
    for name, errors in (("as the model says", plain), ("refined", refined)):
        size = [abs(error) for error in errors]
        early = sum(error < 0 for error in errors)
        print(
            f"{name:18} median {statistics.median(size):4.0f} ms, largest {max(size):4.0f} ms; "
            f"{early} of {len(errors)} too early"
        )


def _prepared(folder: Path) -> Audio:
    from transcriptions.processing.voice_activity import find_speech

    wav = folder / "sample.wav"
    command = [ffmpeg_binary(), "-v", "error", "-i", str(SAMPLE), "-ar", "24000", "-ac", "1"]
    subprocess.run([*command, str(wav)], check=True)
    duration = READ[-1][1]
    spans = find_speech(wav, duration, lambda: None)
    return Audio(wav, duration, tuple(spans), "en")


def _words(audio: Audio) -> list[Word]:
    events = WhisperEngine().stream(audio, lambda: False)
    return [word for event in events if isinstance(event, Segment) for word in event.words]


def _errors_ms(words: list[Word]) -> list[float]:
    """Found less read end of each word, in milliseconds."""
    errors = list[float]()
    for text, end in READ:
        found = [word for word in words if word.text.strip() == text]
        nearest = min(found, key=lambda word: abs(word.end - end))
        if abs(nearest.end - end) > NEAR_S:
            raise SystemExit(f"“{text}” was not recognized at {end} s")
        errors.append(1000 * (nearest.end - end))
    return errors


if __name__ == "__main__":
    main()
