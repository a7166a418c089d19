"""Measure the whole service against the plain loop: python -m benchmarks.service [--write]

Real speech is uploaded to a running service. The time from the upload to the last event is compared
with that of the plain loop around faster-whisper on the same file and with the same weights, in the
same round. A clip of ten seconds shows how long a short request takes on a warm worker.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import imageio_ffmpeg

from benchmarks import speech
from benchmarks.overhead import running_service
from benchmarks.whisper import LANGUAGE, PlainLoop, Run
from gpu import pcm
from gpu.tests.wer import NORMALIZER, word_errors
from gpu.types import Audio

RESULTS = Path(__file__).parent / "results" / "service.json"
CLIP_S, CLIPS = 10, 5
GOALS = {"speed_to_loop": 3.0, "wer_difference": 0.5, "first_segment_s": 3.0, "clip_s": 1.5}


def main() -> None:
    """Print the results; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of the recording")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    recording = speech.long_recording(arguments.seconds)
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        Path(folder).chmod(0o711)
        measured = _measure_all(recording, Path(folder), arguments.rounds)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[2], 1),
        "audio_s": round(recording.seconds, 1),
        "normalizer": NORMALIZER,
        "goals": GOALS,
        **measured,
    }
    print(json.dumps(result, indent=2))
    if arguments.write:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _measure_all(recording: speech.Speech, folder: Path, rounds: int) -> dict[str, Any]:
    file = folder / "recording.flac"
    _encode(recording, file)
    clip = folder / "clip.flac"
    _encode(speech.Speech(recording.samples[: CLIP_S * pcm.SAMPLE_RATE_HZ], ""), clip)
    loop = PlainLoop().run(Audio(file, recording.seconds, (), LANGUAGE))
    with running_service(folder) as client:
        _transcribe(client, clip)  # loads the model
        clips = [_timed_request(client, clip) for _ in range(CLIPS)]
        runs = [(_stream(client, file), loop()) for _ in range(rounds)]
    ours, theirs = (word_errors(recording.text, run.text) for run in runs[0])
    return {
        "service_s": _median(service.total for service, _ in runs),
        "loop_s": _median(plain.total for _, plain in runs),
        "speed_to_loop": _median(plain.total / service.total for service, plain in runs),
        "first_segment_s": _median(service.first_segment for service, _ in runs),
        "clip_s": _median(clips),
        "wer_difference": round(100 * (ours.rate - theirs.rate), 2),
        "service_errors": {"wer": round(100 * ours.rate, 2), **asdict(ours)},
        "loop_errors": {"wer": round(100 * theirs.rate, 2), **asdict(theirs)},
    }


def _encode(recording: speech.Speech, path: Path) -> None:
    source = ["-f", "s16le", "-ac", "1", "-ar", str(pcm.SAMPLE_RATE_HZ), "-i", "-"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source, str(path)]
    subprocess.run(command, input=recording.samples.tobytes(), check=True)


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 2)


def _timed_request(client: httpx.Client, file: Path) -> float:
    """Seconds that a request waits for its transcript."""
    started = time.perf_counter()
    _transcribe(client, file)
    return time.perf_counter() - started


def _transcribe(client: httpx.Client, file: Path) -> None:
    with file.open("rb") as upload:
        data = {"language": LANGUAGE}
        client.post("/api/transcribe", files={"file": upload}, data=data).raise_for_status()


def _stream(client: httpx.Client, file: Path) -> Run:
    """Seconds from the upload to the first segment and to the last event; the text."""
    started, first, texts, last = time.perf_counter(), 0.0, [], {}
    with file.open("rb") as upload:
        request = client.stream(
            "POST",
            "/api/transcribe/stream",
            files={"file": upload},
            data={"language": LANGUAGE},
        )
        with request as response:
            for line in response.iter_lines():
                if line.startswith("data: "):
                    last = json.loads(line[6:])
                    if last["type"] == "progress":
                        first = first or time.perf_counter() - started
                        texts.append(last["segment"]["text"])
    if last.get("type") != "complete":
        raise RuntimeError(f"the service has sent {last}")
    return Run(first, time.perf_counter() - started, 0.0, " ".join(texts))


if __name__ == "__main__":
    main()
