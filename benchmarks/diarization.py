"""Measure speaker diarization: python -m benchmarks.diarization FOLDER

FOLDER has recordings with references: talk.ogg and talk.rttm. Each is diarized, and so are
discussions with much overlap and conversations of one and three hours, composed from the voices of
all of them. The time is that of one core, or of the GPU if the diarizer uses one (--diarizer), and
does not include the search for speech, which is done for every recording.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import tempfile
import time
import wave
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from benchmarks.speech import read
from gpu import pcm
from gpu.diarization.clustering import SpeakerLimits
from gpu.diarization.engine import DIARIZERS, get_diarizer
from gpu.diarization.types import Diarizer
from gpu.tests.diarization.errors import Stretch, error_rate, overlap_rates, read_rttm, speakers
from gpu.types import Audio
from transcriptions.processing.voice_activity import find_speech

RESULTS = Path(__file__).parent / "results" / "diarization.json"
COLLAR_S = 0.25
LONG_MINUTES = (60, 180)
MIN_STRETCH_S = 0.5  # of a voice alone, to be used in a conversation
PAUSES_S = (0.15, 0.3, 0.5, 1.0)
# Of a discussion: how long interruptions overlap, and how the levels of turns differ.
OVERLAPS_S, LEVEL_DB = (0.3, 2.5), 4.0


@dataclass(frozen=True, slots=True)
class Recording:
    """Samples at 24 kHz, and who speaks when."""

    name: str
    samples: Any
    reference: list[Stretch]


@dataclass(frozen=True, slots=True)
class Stored:
    """Prepared audio, and who speaks when."""

    name: str
    audio: Audio
    reference: list[Stretch]


@dataclass(frozen=True, slots=True)
class Result:
    """Rates in percent."""

    name: str
    minutes: float
    speakers: int
    found: int
    error: float  # with a collar of COLLAR_S
    error_without_collar: float
    confused_without_collar: float
    overlap_precision: float | None  # of the time in which several people speak; null: never found
    overlap_recall: float | None  # null: never in the reference
    core_seconds: float
    times_real_time: float
    peak_mb: int  # of the process


def main() -> None:
    """Prints a table; --write stores it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=int, nargs="*", default=LONG_MINUTES)
    parser.add_argument("--discussions", type=int, default=8, help="with much overlap")
    parser.add_argument("--diarizer", choices=DIARIZERS, default="embedded")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    recordings = list(recordings_in(options.folder))
    diarizer, results = get_diarizer(options.diarizer), list[Result]()
    print(
        "recording        minutes speakers found  DER no collar (confused)  "
        "core s x real time   MB overlap: precision, recall"
    )
    with tempfile.TemporaryDirectory() as folder:
        for stored in _stored(
            recordings, options.discussions, options.minutes, Path(folder) / "audio.wav"
        ):
            results.append(_measure(diarizer, stored))
            print(_line(results[-1]), flush=True)
    if options.write:
        found = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "recordings": [asdict(result) for result in results],
        }
        _results(options.diarizer).write_text(json.dumps(found, indent=2) + "\n")


def _results(diarizer: str) -> Path:
    return RESULTS if diarizer == "embedded" else RESULTS.with_stem(f"diarization_{diarizer}")


def recordings_in(folder: Path) -> Iterator[Recording]:
    references = sorted(folder.glob("*.rttm"))
    if not references:
        raise SystemExit(f"There is no .rttm file in {folder}")
    for reference in references:
        others = [path for path in folder.glob(f"{reference.stem}.*") if path != reference]
        if len(others) != 1:
            raise SystemExit(f"{reference} needs one recording next to it, not {len(others)}")
        yield Recording(reference.stem, read(others[0]), read_rttm(reference))


def _conversation(recordings: list[Recording], minutes: int) -> Recording:
    """All voices in random order, with one to four of their stretches in each turn."""
    chance = random.Random(minutes)  # noqa: S311 - the same conversation in each run
    voices = _voices(recordings)
    parts, reference, position, last = list[Any](), list[Stretch](), 0, ""
    while position < minutes * 60 * pcm.SAMPLE_RATE_HZ:
        last = chance.choice([name for name in sorted(voices) if name != last])
        for _ in range(chance.randint(1, 4)):
            samples = chance.choice(voices[last])
            start, end = (p / pcm.SAMPLE_RATE_HZ for p in (position, position + len(samples)))
            reference.append((start, end, last))
            pause = np.zeros(round(chance.choice(PAUSES_S) * pcm.SAMPLE_RATE_HZ), np.int16)
            parts += [samples, pause]
            position += len(samples) + len(pause)
    return Recording(f"{minutes} minutes", np.concatenate(parts), reference)


def _discussion(recordings: list[Recording], number: int) -> Recording:
    """All voices in random order; they interrupt each other with a probability of 40%. Nobody says
    anything twice."""
    chance = random.Random(number)  # noqa: S311 - the same discussion in each run
    voices, reference = _voices(recordings), list[Stretch]()
    for stretches in voices.values():
        chance.shuffle(stretches)
    mixed, last = np.zeros(0, np.int32), ""
    while others := [name for name, left in sorted(voices.items()) if left and name != last]:
        last = chance.choice(others)
        level_db = chance.uniform(-LEVEL_DB, LEVEL_DB)
        samples = voices[last].pop() * 10 ** (level_db / 20)
        pause = -chance.uniform(*OVERLAPS_S) if chance.random() < 0.4 else chance.choice(PAUSES_S)
        first = max(0, len(mixed) + round(pause * pcm.SAMPLE_RATE_HZ))
        end = first + len(samples)
        mixed = np.pad(mixed, (0, max(0, end - len(mixed))))
        mixed[first:end] += np.round(samples).astype(np.int32)
        reference.append((first / pcm.SAMPLE_RATE_HZ, end / pcm.SAMPLE_RATE_HZ, last))
    clipped = np.clip(mixed, -32768, 32767).astype(np.int16)
    return Recording(f"discussion {number}", clipped, reference)


def _voices(recordings: list[Recording]) -> dict[str, list[Any]]:
    """The stretches of each voice in which nobody else speaks."""
    voices: dict[str, list[Any]] = {}
    for recording in recordings:
        for name, samples in _alone(recording):
            voices.setdefault(name, []).append(samples)
    return voices


def _alone(recording: Recording) -> Iterator[tuple[str, Any]]:
    for start, end, name in recording.reference:
        others = (r for r in recording.reference if r != (start, end, name))
        overlaps = any(other[0] < end and other[1] > start for other in others)
        if end - start >= MIN_STRETCH_S and not overlaps:
            edges = (round(edge * pcm.SAMPLE_RATE_HZ) for edge in (start, end))
            yield name, recording.samples[slice(*edges)]


def _stored(
    recordings: list[Recording], discussions: int, minutes: list[int], path: Path
) -> Iterator[Stored]:
    """The recordings and the conversations, one after another, as prepared audio at `path`."""
    for recording in recordings:
        yield store(recording, path)
    for number in range(1, discussions + 1):
        yield store(_discussion(recordings, number), path)
    for length in minutes:
        yield store(_conversation(recordings, length), path)


def store(recording: Recording, path: Path) -> Stored:
    duration = len(recording.samples) / pcm.SAMPLE_RATE_HZ
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, pcm.SAMPLE_RATE_HZ, 0, "NONE", ""))
        wav.writeframes(recording.samples.tobytes())
    audio = Audio(path, duration, tuple(find_speech(path, duration, lambda: None)))
    return Stored(recording.name, audio, recording.reference)


def _measure(diarizer: Diarizer, stored: Stored) -> Result:
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak of memory
    started = time.process_time()
    *_, last = diarizer.stream(stored.audio, SpeakerLimits(), lambda: False)
    elapsed = last.usage.decode_seconds if last.usage else time.process_time() - started
    found = [(turn.start, turn.end, str(turn.speaker)) for turn in last.turns]
    exact = error_rate(stored.reference, found)
    precision, recall = map(_percent, overlap_rates(stored.reference, found))
    return Result(
        stored.name,
        round(stored.audio.duration / 60, 1),
        speakers(stored.reference),
        speakers(found),
        round(100 * error_rate(stored.reference, found, COLLAR_S).total, 2),
        round(100 * exact.total, 2),
        round(100 * exact.confused, 2),
        precision,
        recall,
        round(elapsed, 1),
        round(stored.audio.duration / elapsed),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def _line(result: Result) -> str:
    return (
        f"{result.name:16} {result.minutes:7} {result.speakers:8} {result.found:5} "
        f"{result.error:5} {result.error_without_collar:9} ({result.confused_without_collar:8}) "
        f"{result.core_seconds:8} {result.times_real_time:11} {result.peak_mb:5} "
        f"{_shown(result.overlap_precision):>9} {_shown(result.overlap_recall):>6}"
    )


def _shown(rate: float | None) -> str:
    return "-" if rate is None else str(rate)


def _percent(rate: float | None) -> float | None:
    return None if rate is None else round(100 * rate, 1)


if __name__ == "__main__":
    main()
