"""Measure the export of a long transcript: python -m benchmarks.exports [--write]

Three hours of synthetic speech by four speakers: the time to divide the words into cues and into
paragraphs, and to write documents. Nothing is read from a database. --write writes
benchmarks/results/exports.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.paragraphs import paragraphs
from transcriptions.exports.profiles import DEFAULT_PROFILE
from transcriptions.exports.shaping import shape
from transcriptions.exports.transcript import TimedWord, Transcript

RESULT = Path(__file__).parent / "results" / "exports.json"
DURATION_S = 3 * 3600.0
SPEAKERS, SENTENCES_PER_TURN = 4, 9  # the maximum of a turn
TOPIC_SENTENCES, TOPIC_WORDS, COMMON_WORDS = 40, 60, 300
SECONDS_PER_LETTER, WORD_PAUSE_S, MAX_SENTENCE_PAUSE_S = 0.06, 0.05, 1.2
REPETITIONS = 5
SEED = 1
GOALS_S = {"shape": 2.0, "docx": 5.0}


def main() -> None:
    """Print the measurements with their goals, and write the JSON if asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/")
    write = parser.parse_args().write
    words = tuple(_words())
    print(f"{DURATION_S / 3600:g} hours, {len(words)} words, {SPEAKERS} speakers")
    rows = [_measure(name, operation) for name, operation in _operations(words).items()]
    if write:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        result = {"machine": machine, "words": len(words), "rows": rows}
        RESULT.write_text(json.dumps(result, indent=2) + "\n")


def _operations(words: tuple[TimedWord, ...]) -> dict[str, Callable[[], object]]:
    created_at = datetime(2026, 1, 1, tzinfo=UTC)
    transcript = Transcript("A long meeting", "en", DURATION_S, [], words, created_at)
    options = ExportOptions(times=True)
    return {
        "shape": lambda: shape(words, DEFAULT_PROFILE, language="en"),
        "paragraphs": lambda: paragraphs(words, "en"),
        "docx": lambda: EXPORTERS["docx"].write(transcript, options),
        "pdf": lambda: EXPORTERS["pdf"].write(transcript, options),
    }


def _measure(name: str, operation: Callable[[], object]) -> dict[str, Any]:
    operation()  # warm-up: imports libraries
    wall, cpu = list[float](), list[float]()
    for _ in range(REPETITIONS):
        started = time.perf_counter(), time.process_time()
        operation()
        wall.append(time.perf_counter() - started[0])
        cpu.append(time.process_time() - started[1])
    row = {
        "what": name,
        "median_s": round(statistics.median(wall), 2),
        "cpu_s": round(statistics.median(cpu), 2),
        "goal_s": GOALS_S.get(name),
    }
    goal = f"  goal: under {row['goal_s']:g} s" if row["goal_s"] else ""
    print(f"{name:10}  {row['median_s']:6.2f} s  CPU {row['cpu_s']:6.2f} s{goal}")
    return row


def spoken_words(count: int) -> list[TimedWord]:
    """The first `count` words, however long they last."""
    return list(islice(_words(math.inf), count))


def _words(duration_s: float = DURATION_S) -> Iterator[TimedWord]:
    """Sentences of common words and of words of a topic, which changes; speakers take turns."""
    source = random.Random(SEED)  # noqa: S311
    common = [_word(source) for _ in range(COMMON_WORDS)]
    now, sentence = 0.0, 0
    while now < duration_s:
        speaker = f"Speaker {source.randint(1, SPEAKERS)}"
        for _ in range(source.randint(1, SENTENCES_PER_TURN)):
            if sentence % TOPIC_SENTENCES == 0:
                topic = [_word(source) for _ in range(TOPIC_WORDS)]
            sentence += 1
            for text in _sentence(source, common, topic):
                end = now + SECONDS_PER_LETTER * len(text)
                yield TimedWord(now, end, text, speaker=speaker, segment=sentence)
                now = end + WORD_PAUSE_S
            now += source.uniform(0, MAX_SENTENCE_PAUSE_S)


def _sentence(source: random.Random, common: list[str], topic: list[str]) -> Iterator[str]:
    count = source.randint(4, 20)
    for number in range(count):
        text = source.choice(common if source.random() < 0.6 else topic)
        end = "." if number == count - 1 else "," if source.random() < 0.08 else ""
        yield (text if number else text.capitalize()) + end


def _word(source: random.Random) -> str:
    return "".join(
        source.choice("bdfgklmnprst") + source.choice("aeiou") for _ in range(source.randint(1, 4))
    )


if __name__ == "__main__":
    main()
