"""Measure Whisper in dialogs of two languages: python -m benchmarks.dialogs [--write]

The speakers alternate, each with one announcement at a time. Measures how much of the speech is
written in its own language, and the word errors.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks import speech
from benchmarks.whisper import prepared
from gpu import config
from gpu.engine import get_engine
from gpu.tests.wer import NORMALIZER, word_errors
from gpu.types import Engine, Segment

RESULTS = Path(__file__).parent / "results" / "dialogs.json"
PAIRS = (("it", "fr"), ("en", "es"), ("fr", "en"), ("ru", "en"), ("es", "it"))
LENGTHS_S = ((2, 4), (4, 7), (8, 14))  # of the announcements
MIN_WORDS = 4
Turns = list[tuple[str, speech.Speech]]


def main() -> None:
    """Print a table; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dialogs")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--seconds", type=float, default=150.0, help="of each dialog")
    arguments = parser.parse_args()
    engine = get_engine("whisper")
    print("languages  turns of s  number  in the right language, %  WER, %")
    rows = [
        _row(engine, turns, lengths)
        for lengths in LENGTHS_S
        for pair in PAIRS
        if len(turns := _turns(pair, lengths, arguments.seconds)) > 1
    ]
    result = {
        "device": f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "model": f"whisper-{config.WHISPER_MODEL}",
        "normalizer": NORMALIZER,
        "dialogs": rows,
    }
    if arguments.write:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _turns(pair: tuple[str, str], lengths: tuple[int, int], seconds: float) -> Turns:
    """Announcements of these lengths, in turn; together at most `seconds` long."""
    low, high = lengths
    speakers = [
        [(code, one) for one in speech.prompts(MIN_WORDS, code) if low <= one.seconds < high]
        for code in pair
    ]
    turns: Turns = []
    for turn in chain.from_iterable(zip(*speakers, strict=False)):
        seconds -= turn[1].seconds + speech.PAUSE_S
        if seconds < 0:
            break
        turns.append(turn)
    return turns


def _row(engine: Engine, turns: Turns, lengths: tuple[int, int]) -> dict[str, Any]:
    recording = speech.joined((one for _, one in turns), float("inf"))
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        events = engine.stream(prepared(recording, Path(folder), None), lambda: False)
        segments = [event for event in events if isinstance(event, Segment)]
    right = 100 * sum(_right_s(segments, turns)) / sum(one.seconds for _, one in turns)
    text = " ".join(segment.text for segment in segments)
    errors = 100 * word_errors(recording.text, text, "").rate
    names = "-".join(code for code, _ in turns[:2])
    span = f"{lengths[0]} to {lengths[1]}"
    print(f"{names:9} {span:>11} {len(turns):7} {right:26.0f} {errors:7.1f}", flush=True)
    return {
        "languages": names,
        "turns_s": lengths,
        "turns": len(turns),
        "in_right_language_percent": round(right, 1),
        "wer_percent": round(errors, 1),
    }


def _right_s(segments: list[Segment], turns: Turns) -> list[float]:
    """The seconds of each turn that segments in its language cover."""
    covered, start = [], 0.0
    for code, one in turns:
        end = start + one.seconds
        covered.append(
            sum(
                max(0.0, min(end, segment.end) - max(start, segment.start))
                for segment in segments
                if segment.language == code
            )
        )
        start = end + speech.PAUSE_S
    return covered


if __name__ == "__main__":
    main()
