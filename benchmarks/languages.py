"""Measure Whisper in several languages: python -m benchmarks.languages [--write] [--seconds 240]

Announcements in five languages, one speaker each. Measures how often the language of a few seconds
within a window is found, and the word errors of the engine with and without a given language,
compared with those of the plain loop around faster-whisper with a given language.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import speech
from benchmarks.whisper import PlainLoop, prepared
from gpu import config, pcm
from gpu.engine import get_engine
from gpu.tests.wer import NORMALIZER, word_errors
from gpu.types import Engine, Segment
from gpu.weights import whisper_base
from gpu.whisper.decoded import SAMPLE_RATE_HZ
from gpu.whisper.model import Model

RESULTS = Path(__file__).parent / "results" / "languages.json"
WINDOW_S = 25
PIECES_S = (2, 4, 8)
STARTS_S = (0, 7, 15)  # of pieces in a window
MIN_WORDS = 6


def main() -> None:
    """Print a table; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.languages")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--seconds", type=float, default=240.0, help="of each language")
    arguments = parser.parse_args()
    model = Model(whisper_base(config.models_dir()), 1)
    engine, loop = get_engine("whisper"), PlainLoop()
    print("language  found in 2, 4, 8 s, %   WER, %: detected  given  plain loop  wrong segments")
    rows = [_row(code, model, engine, loop, arguments.seconds) for code in speech.VOICES]
    result = {
        "device": f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "model": f"whisper-{config.WHISPER_MODEL}",
        "normalizer": NORMALIZER,
        "languages": rows,
    }
    if arguments.write:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _row(
    code: str, model: Model, engine: Engine, loop: PlainLoop, seconds: float
) -> dict[str, Any]:
    recording = speech.joined(speech.prompts(MIN_WORDS, code), seconds)
    found = [_share_found(model, recording, code, piece) for piece in PIECES_S]
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        detected = _segments(engine, recording, Path(folder), None)
        given = _segments(engine, recording, Path(folder), code)
        plain = loop.run(prepared(recording, Path(folder), code))().text
    errors = [
        round(100 * word_errors(recording.text, text, code).rate, 2)
        for text in (_text(detected), _text(given), plain)
    ]
    wrong = sum(segment.language != code for segment in detected)
    print(
        f"{code:8} {found[0]:10.0f} {found[1]:5.0f} {found[2]:5.0f} {errors[0]:25.2f}"
        f" {errors[1]:6.2f} {errors[2]:11.2f} {wrong:5} of {len(detected)}"
    )
    return {
        "language": code,
        "audio_s": round(recording.seconds, 1),
        **{f"found_in_{s}_s_percent": share for s, share in zip(PIECES_S, found, strict=True)},
        "wer_detected_percent": errors[0],
        "wer_given_percent": errors[1],
        "wer_plain_loop_percent": errors[2],
        "segments": len(detected),
        "segments_in_another_language": wrong,
    }


def _share_found(model: Model, recording: speech.Speech, code: str, piece_s: int) -> float:
    """In how many pieces, in percent, this language is the most probable one."""
    is_found = [
        max(probabilities, key=probabilities.__getitem__) == code
        for window in _windows(recording)
        for encoded in [model.encode([window])]
        for start in STARTS_S
        for probabilities in [model.language_probabilities(encoded, 0, start, start + piece_s)]
    ]
    return round(100 * sum(is_found) / len(is_found), 1)


def _windows(recording: speech.Speech) -> Iterator[np.ndarray]:
    resampler = pcm.Resampler(SAMPLE_RATE_HZ)
    samples = recording.samples.astype(np.float32) / np.float32(32768)
    resampled = np.concatenate([resampler.push(samples), resampler.finish()])
    length = WINDOW_S * SAMPLE_RATE_HZ
    for start in range(0, len(resampled) - length, length):
        yield resampled[start : start + length]


def _segments(
    engine: Engine, recording: speech.Speech, folder: Path, language: str | None
) -> list[Segment]:
    events = engine.stream(prepared(recording, folder, language), lambda: False)
    return [event for event in events if isinstance(event, Segment)]


def _text(segments: Sequence[Segment]) -> str:
    return " ".join(segment.text for segment in segments)


if __name__ == "__main__":
    main()
