"""Measure how long the first words take: python -m benchmarks.first_segment [--write]

Recordings of up to four hours are uploaded to a running service, which stops them after the first
segment. Each one is also prepared as a whole before its recognition begins, as all recordings were
before: the option `channels=separate` has that effect, and no other on one channel. CPU times are
those of all processes of the service.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.overhead import running_service
from transcodio_site.testing import SAMPLE, Media

RESULTS = Path(__file__).parent / "results" / "first-segment.json"
# Seconds, and FFmpeg's options for the output.
RECORDINGS = {
    "10s.mp3": (10, ()),
    "5min.mp3": (300, ()),
    "1h.mp3": (3600, ()),
    "1h.m4a": (3600, ("-ac", "2", "-b:a", "96k")),
    "1h.wav": (3600, ("-ar", "16000")),
    "4h.mp3": (14_400, ("-b:a", "64k")),
}
GOAL_S = 3.0
WAYS = {"opening first": "mix", "whole recording first": "separate"}
IDLE_S = 600.0  # at most, that the service needs to stop what it has begun


def main() -> None:
    """Print the medians; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_segment")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        Path(folder).chmod(0o711)
        rows = _measure_all(Path(folder), arguments.rounds)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[2], 1),
        "goal_s": GOAL_S,
        "rows": rows,
    }
    print(json.dumps(result, indent=2))
    if arguments.write:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _measure_all(folder: Path, rounds: int) -> list[dict[str, Any]]:
    media = Media(folder)
    files = {
        name: media.make(
            name, "-stream_loop", "-1", "-i", str(SAMPLE), "-t", f"{seconds}", *options
        )
        for name, (seconds, options) in RECORDINGS.items()
    }
    with running_service(folder) as client:
        _first_segment(client, files["10s.mp3"], "mix")  # loads the model
        return [_measure(client, file, way, rounds) for file in files.values() for way in WAYS]


def _measure(client: httpx.Client, file: Path, way: str, rounds: int) -> dict[str, Any]:
    runs = [_first_segment(client, file, WAYS[way]) for _ in range(rounds)]
    row = {
        "recording": file.name,
        "way": way,
        "first_segment_s": round(statistics.median(seconds for seconds, _ in runs), 2),
        "cpu_s": round(statistics.median(cpu for _, cpu in runs), 1),
    }
    print(row, flush=True)
    return row


def _first_segment(client: httpx.Client, file: Path, channels: str) -> tuple[float, float]:
    """Seconds from the upload to the first segment, and CPU seconds of the service until then."""
    cpu, started = _cpu_seconds(), time.perf_counter()
    with file.open("rb") as upload:
        form = {"language": "en", "channels": channels}
        request = client.stream("POST", "/api/transcribe/stream", files={"file": upload}, data=form)
        with request as response:
            data = (json.loads(line[6:]) for line in response.iter_lines() if line[:6] == "data: ")
            metadata, first = next(data), next(data)
            seconds, used = time.perf_counter() - started, _cpu_seconds() - cpu
    if (metadata["type"], first["type"]) != ("metadata", "progress"):
        raise RuntimeError(f"the service has sent {first}")
    client.delete(f"/api/transcriptions/{metadata['transcription']}").raise_for_status()
    _wait_until_idle()
    return seconds, used


def _processes() -> list[psutil.Process]:
    processes: list[psutil.Process] = psutil.Process().children(recursive=True)
    return processes


def _cpu_seconds() -> float:
    """Of all processes of the service, with those that have ended."""
    total = 0.0
    for process in _processes():
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _wait_until_idle() -> None:
    """The deleted recording is not worked on any more."""
    deadline = time.monotonic() + IDLE_S
    before = _cpu_seconds()
    while time.monotonic() < deadline:
        time.sleep(1)
        now = _cpu_seconds()
        if now - before < 0.1:
            return
        before = now


if __name__ == "__main__":
    main()
