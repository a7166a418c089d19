"""Measure the Whisper engine: python -m benchmarks.whisper [--write] [--seconds 600]

Transcribe real speech with the plain loop around faster-whisper that other services have, and with
the engine, with several batch sizes and beams. The speed of the engine is given relative to the
loop, in the same round, because other work on the machine changes both. CPU time is less affected
by it, but does not show whether all cores are used.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import speech
from gpu import config, pcm
from gpu.tests.wer import NORMALIZER, word_errors
from gpu.types import Audio, Segment, Span
from gpu.weights import whisper_base
from gpu.whisper import WhisperEngine, model

RESULTS = Path(__file__).parent / "results" / "whisper-cpu.json"
# Batch and beam; the default is the first.
VARIANTS = ((4, 2), (4, 1), (4, 3), (4, 5), (1, 2), (2, 2), (8, 2))
LANGUAGE = "en"


def main() -> None:
    """Print a table; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.whisper")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of the recording")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--default-only", action="store_true", help="without other batches, beams")
    arguments = parser.parse_args()
    variants = VARIANTS[: 1 if arguments.default_only else None]
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        recording = speech.long_recording(arguments.seconds)
        result = _measure_all(recording, Path(folder), variants, arguments.rounds)
    if arguments.write:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _measure_all(
    recording: speech.Speech, folder: Path, variants: tuple[tuple[int, int], ...], rounds: int
) -> dict[str, Any]:
    audio = prepared(recording, folder)
    engine, loop = WhisperEngine(), PlainLoop()
    for first in (engine_run(engine, _short(audio), *variants[0]), loop.run(_short(audio))):
        first()  # loads the model
    runs: dict[str, Callable[[], Run]] = {"plain loop": loop.run(audio)}
    for variant in variants:
        runs[_name(variant)] = engine_run(engine, audio, *variant)
    measured = {name: [] for name in runs}  # type: dict[str, list[Run]]
    for _ in range(rounds):
        for name, run in runs.items():
            measured[name].append(run())
            print(f"  {name}: {measured[name][-1].total:.1f} s", flush=True)
    print(f"{recording.seconds:.0f} s of speech\n{HEADER}")
    return {
        "device": f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[2], 1),
        "model": f"whisper-{config.WHISPER_MODEL}",
        "audio_s": round(recording.seconds, 1),
        "normalizer": NORMALIZER,
        "rows": [_row(name, measured, recording) for name in runs],
    }


def _name(variant: tuple[int, int]) -> str:
    return "batch {}, beam {}".format(*variant)


class Run(NamedTuple):
    """One measurement, in seconds."""

    first_segment: float
    total: float
    cpu: float
    text: str


HEADER = "                    first, s  all, s  x real time  speed  CPU   WER %    S   D   I"


def _row(name: str, measured: dict[str, list[Run]], recording: speech.Speech) -> dict[str, Any]:
    runs, loop = measured[name], measured["plain loop"]
    first = statistics.median(run.first_segment for run in runs)
    total = statistics.median(run.total for run in runs)
    cpu = statistics.median(run.cpu for run in runs)
    # The ratios of single rounds: the machine may be busier in one of them.
    pairs = list(zip(loop, runs, strict=True))
    speed = statistics.median(plain.total / run.total for plain, run in pairs)
    cpu_speed = statistics.median(plain.cpu / run.cpu for plain, run in pairs)
    errors = word_errors(recording.text, runs[0].text)
    rtfx = recording.seconds / total
    print(
        f"{name:18} {first:9.1f} {total:7.1f} {rtfx:12.1f} {speed:6.2f} {cpu_speed:4.2f}"
        f" {100 * errors.rate:7.2f} {errors.substitutions:4} {errors.deletions:3}"
        f" {errors.insertions:3}"
    )
    return {
        "how": name,
        "is_default": name == _name(VARIANTS[0]),
        "first_segment_s": round(first, 2),
        "total_s": round(total, 2),
        "cpu_s": round(cpu, 2),
        "rtfx": round(rtfx, 1),
        "speed_to_loop": round(speed, 2),
        "cpu_to_loop": round(cpu_speed, 2),
        "wer_percent": round(100 * errors.rate, 2),
        "substitutions": errors.substitutions,
        "deletions": errors.deletions,
        "insertions": errors.insertions,
    }


class PlainLoop:
    """faster-whisper as its README shows it: one window after another, with a beam of five."""

    def __init__(self) -> None:
        from faster_whisper import WhisperModel

        source = str(whisper_base(config.models_dir()))
        self._model = WhisperModel(source, device="cpu", compute_type="int8")

    def run(self, audio: Audio) -> Callable[[], Run]:
        """A measurement of that recording."""

        def run() -> Run:
            started, cpu, first, texts = time.perf_counter(), time.process_time(), 0.0, []
            segments, _ = self._model.transcribe(
                str(audio.path), beam_size=5, language=audio.language
            )
            for segment in segments:
                first = first or time.perf_counter() - started
                texts.append(segment.text)
            total = time.perf_counter() - started
            return Run(first, total, time.process_time() - cpu, " ".join(texts))

        return run


def engine_run(engine: WhisperEngine, audio: Audio, batch: int, beam: int) -> Callable[[], Run]:
    """A measurement of that recording."""

    def run() -> Run:
        config.WHISPER_BATCH_SIZE, model.BEAM_SIZE = batch, beam
        started, cpu, first, texts = time.perf_counter(), time.process_time(), 0.0, []
        for event in engine.stream(audio, lambda: False):
            if isinstance(event, Segment):
                first = first or time.perf_counter() - started
                texts.append(event.text)
        total = time.perf_counter() - started
        return Run(first, total, time.process_time() - cpu, " ".join(texts))

    return run


def prepared(recording: speech.Speech, folder: Path, language: str | None = LANGUAGE) -> Audio:
    """The recording as engines get it, with its speech spans."""
    path = folder / "audio.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, pcm.SAMPLE_RATE_HZ, 0, "NONE", ""))
        wav.writeframes(recording.samples.tobytes())
    return Audio(path, recording.seconds, _speech(path, recording.seconds), language)


def _speech(path: Path, seconds: float) -> tuple[Span, ...]:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "transcodio_site.settings")
    django.setup()
    from transcriptions.processing import voice_activity

    return tuple(voice_activity.find_speech(path, seconds, lambda: None))


def _short(audio: Audio) -> Audio:
    return Audio(audio.path, audio.duration, audio.spans[:1], LANGUAGE)


if __name__ == "__main__":
    main()
