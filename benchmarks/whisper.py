"""Measure the Whisper engine: python -m benchmarks.whisper

Transcribe the repeated sample recording with several batch sizes, and measure the time to the first
segment and the speed. The result is written to benchmarks/results/whisper-cpu.json.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from gpu import config, pcm
from gpu.types import Audio, Segment, Span
from gpu.whisper import WhisperEngine

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "transcodio_site" / "sample" / "recording.ogg"
SAMPLE_REPETITIONS = 4
SAMPLE_S, SPAN_S, PAUSE_S = 43.5, 10.0, 0.2  # the sample; a speech span with its pause; the pause
BATCH_SIZES = (1, 4, 8, 16)
REPETITIONS = 3  # of each measurement


def main() -> None:
    """Print a table and write the JSON."""
    engine = WhisperEngine()
    with tempfile.TemporaryDirectory() as folder:
        audio = _audio(Path(folder))
        _run(engine, Audio(audio.path, SAMPLE_S, audio.spans[:1], "en"))  # loads the model
        print(f"{audio.duration:.0f} s of audio")
        print("batch  first segment, s  x real time")
        rows = [_measure(engine, audio, batch) for batch in BATCH_SIZES]
    result = {
        "device": f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "model": f"whisper-{config.WHISPER_MODEL}",
        "audio_s": round(audio.duration, 1),
        "rows": rows,
    }
    path = ROOT / "benchmarks" / "results" / "whisper-cpu.json"
    path.write_text(json.dumps(result, indent=2) + "\n")


def _audio(folder: Path) -> Audio:
    path = folder / "audio.wav"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-stream_loop",
        str(SAMPLE_REPETITIONS - 1),
    ]
    output = ["-ac", "1", "-ar", str(pcm.SAMPLE_RATE_HZ), str(path)]
    subprocess.run([*command, "-i", str(SAMPLE), *output], check=True)
    starts = [n * SPAN_S for n in range(int(SAMPLE_REPETITIONS * SAMPLE_S / SPAN_S))]
    spans = tuple(Span(start, start + SPAN_S - PAUSE_S) for start in starts)
    return Audio(path, SAMPLE_REPETITIONS * SAMPLE_S, spans, "en")


def _measure(engine: WhisperEngine, audio: Audio, batch: int) -> dict[str, Any]:
    config.WHISPER_BATCH_SIZE = batch
    runs = [_run(engine, audio) for _ in range(REPETITIONS)]
    first = statistics.median(first for first, _ in runs)
    rtfx = audio.duration / statistics.median(total for _, total in runs)
    print(f"{batch:5} {first:17.1f} {rtfx:12.1f}")
    return {"batch": batch, "first_segment_s": round(first, 2), "rtfx": round(rtfx, 2)}


def _run(engine: WhisperEngine, audio: Audio) -> tuple[float, float]:
    """Seconds to the first segment and to the end."""
    started_at, first = time.perf_counter(), 0.0
    for event in engine.stream(audio, lambda: False):
        if isinstance(event, Segment) and not first:
            first = time.perf_counter() - started_at
    return first, time.perf_counter() - started_at


if __name__ == "__main__":
    main()
