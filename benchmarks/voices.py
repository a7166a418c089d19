"""Measures how reliably known voices are recognized: python -m benchmarks.voices FOLDER

FOLDER has recordings with references: talk.ogg and talk.rttm, and a voice has the same name in all
of them. From each voice, stretches are taken that do not overlap: of the shortest length that is
accepted, and of a few sentences. They are also degraded by a telephone line, by noise, and by a
codec with a low rate. Every pair of stretches is compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import imageio_ffmpeg
import numpy as np

from gpu.diarization import voices
from gpu.tests.diarization.errors import read_rttm
from gpu.types import Span

RESULTS = Path(__file__).parent / "results" / "voices.json"
STRETCHES_S = (5.0, 20.0)
THRESHOLDS = (0.8, 0.82, voices.MIN_SIMILARITY, 0.86)
TELEPHONE = "telephone"
MIN_TURN_S = 1.0
CONDITIONS = {
    "as it is": "anull",
    TELEPHONE: "aresample=8000,highpass=300,lowpass=3400",
    "noise": "anull[voice];anoisesrc=a=0.01:c=pink:seed=1:r=24000[noise];"
    "[voice][noise]amix=normalize=0:duration=shortest",
    "louder": "volume=6dB,acompressor",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A stretch of a voice."""

    name: str
    seconds: float
    condition: str
    vector: Any


def prepared(source: Path, condition: str, folder: Path) -> Path:
    """The recording under this condition."""
    wav = folder / f"{source.stem}-{condition.replace(' ', '-')}.wav"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(source)]
    graph = f"[0:a]aresample=24000,{CONDITIONS[condition]},aresample=24000"
    subprocess.run([*command, "-filter_complex", graph, "-ac", "1", str(wav)], check=True)
    return wav


def stretches(turns: list[tuple[float, float]], seconds: float) -> Iterator[list[Span]]:
    """Turns of one voice, joined to stretches of this length."""
    part, length = list[Span](), 0.0
    for start, end in turns:
        while end - start >= MIN_TURN_S:
            stop = min(end, start + seconds - length)
            part.append(Span(start, stop))
            length, start = length + stop - start, stop
            if length >= seconds - 0.01:
                yield part
                part, length = [], 0.0


def samples(source: Path, folder: Path) -> Iterator[Sample]:
    """All stretches of all voices of a recording, in all conditions."""
    turns: dict[str, list[tuple[float, float]]] = {}
    for start, end, name in read_rttm(source.with_suffix(".rttm")):
        turns.setdefault(name, []).append((start, end))
    for condition in CONDITIONS:
        wav = prepared(source, condition, folder)
        for name, own in turns.items():
            for seconds in STRETCHES_S:
                for spans in stretches(own, seconds):
                    vector = voices.describe(wav, spans)
                    if vector is not None:
                        yield Sample(name, seconds, condition, vector)


def rates(found: list[Sample]) -> Iterator[dict[str, Any]]:
    """The shares of wrong decisions about pairs of the same voice and of two, by the lengths of the
    stretches and how many of them come from a telephone line."""
    for lengths in ((20.0, 20.0), (20.0, 5.0), (5.0, 5.0)):
        for phones in range(3):
            same, others = list[float](), list[float]()
            for pair in combinations(found, 2):
                is_chosen = sorted((each.seconds for each in pair), reverse=True) == [*lengths]
                if is_chosen and sum(each.condition == TELEPHONE for each in pair) == phones:
                    similarity = float(pair[0].vector @ pair[1].vector)
                    (same if pair[0].name == pair[1].name else others).append(similarity)
            yield {
                "seconds": lengths,
                "by_telephone": phones,
                "pairs": [len(same), len(others)],
                "same": np.quantile(same, (0, 0.5)).round(3).tolist(),  # least, median
                "others": np.quantile(others, (0.5, 1)).round(3).tolist(),  # median, most
                "false_rejects": {t: share(np.array(same) < t) for t in THRESHOLDS},
                "false_accepts": {t: share(np.array(others) >= t) for t in THRESHOLDS},
            }


def share(is_wrong: Any) -> float:
    """The share of wrong decisions, given an array of all."""
    return round(float(is_wrong.mean()), 4)


def main() -> None:
    """Print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    sources = sorted(path for path in parser.parse_args().folder.glob("*.ogg"))
    found = list[Sample]()
    with tempfile.TemporaryDirectory() as folder:
        for source in sources:
            found += samples(source, Path(folder))
    result = {
        "machine": platform.machine(),
        "voices": sorted({sample.name for sample in found}),
        "results": list(rates(found)),
    }
    text = json.dumps(result, indent=2)
    RESULTS.write_text(f"{text}\n")
    print(text)


if __name__ == "__main__":
    main()
