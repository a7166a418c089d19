"""Measure how well two voices in one speaker are told apart: python -m benchmarks.two_voices FOLDER

FOLDER has recordings with references, as for `benchmarks.diarization`. The stretches of one or two
voices in which nobody else speaks are compared as if one speaker had said them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import tempfile
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.diarization import MIN_STRETCH_S, Recording, recordings_in, store
from gpu.diarization.splitting import CLEAR_BELOW, MIN_PART, two_voices
from gpu.tests.diarization.errors import Stretch
from gpu.types import Span

RESULTS = Path(__file__).parent / "results" / "two-voices.json"
FEW = (3, 6)  # stretches of one voice, with all of the other one
SAMPLES = 5  # at random, of the stretches of one voice alone


def main() -> None:
    """Print the results; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.two_voices")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    rows = list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as folder:
        for recording in recordings_in(arguments.folder):
            path = Path(folder) / "audio.wav"
            store(recording, path)
            rows += _compared(path, recording)
    divided = [row for row in rows if row["wrong"] is not None]
    one = [row["similarity"] for row in divided if len(row["stretches"]) == 1]
    two = [row for row in divided if len(row["stretches"]) == 2]
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "clear_below": CLEAR_BELOW,
        "not_divided": len(rows) - len(divided),
        "one_voice": {"count": len(one), "least_similarity": min(one)},
        "two_voices": {
            "count": len(two),
            "greatest_similarity": max(row["similarity"] for row in two),
            "stretches": sum(sum(row["stretches"]) for row in two),
            "wrong": sum(row["wrong"] for row in two),
        },
        "rows": rows,
    }
    print(json.dumps({name: value for name, value in result.items() if name != "rows"}, indent=2))
    if arguments.write:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _compared(path: Path, recording: Recording) -> Iterator[dict[str, Any]]:
    voices = _voices(recording.reference)
    chance = random.Random(1)  # noqa: S311 - the same stretches in each run
    for name, own in voices.items():
        counts = [len(own), *(chance.randint(2 * MIN_PART, len(own)) for _ in range(SAMPLES))]
        for count in counts:
            yield _row(path, recording.name, {name: chance.sample(own, count)})
    for one, other in combinations(voices, 2):
        for count in (*FEW, len(voices[other])):
            chosen = chance.sample(voices[other], min(count, len(voices[other])))
            yield _row(path, recording.name, {one: voices[one], other: chosen})


def _voices(reference: list[Stretch]) -> dict[str, list[Span]]:
    """The stretches of each voice in which nobody else speaks."""
    voices: dict[str, list[Span]] = {}
    for start, end, name in reference:
        others = (each for each in reference if each != (start, end, name))
        overlaps = any(other[0] < end and other[1] > start for other in others)
        if end - start >= MIN_STRETCH_S and not overlaps:
            voices.setdefault(name, []).append(Span(start, end))
    return voices


def _row(path: Path, recording: str, voices: dict[str, list[Span]]) -> dict[str, Any]:
    said = sorted((span.start, span, name) for name, spans in voices.items() for span in spans)
    found = two_voices(path, [[span] for _, span, _ in said], lambda: None)
    if found is None:  # one stretch is unlike all others
        return {"recording": recording, "stretches": [*map(len, voices.values())], "wrong": None}
    first = min(voices)
    right = {place for place, (_, _, name) in enumerate(said) if name == first}
    wrong = len(right.symmetric_difference(found.parts[0]))
    return {
        "recording": recording,
        "stretches": [len(spans) for spans in voices.values()],
        "wrong": min(wrong, len(said) - wrong) if len(voices) == 2 else 0,
        "similarity": round(found.similarity, 3),
    }


if __name__ == "__main__":
    main()
