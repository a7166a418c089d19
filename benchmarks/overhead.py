"""Measure the time that the service adds to its engine: python -m benchmarks.overhead [--write]

Recordings are uploaded to a running service, one after another. The overhead is the time from the
upload to the final event, less the time that the engine needed for the same recording.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from transcodio_site.testing import SAMPLE, Media, Stack

RESULTS = Path(__file__).parent / "results" / "overhead.json"
RECORDINGS = {"10 s": (10, 5), "5 min": (300, 2)}  # seconds, repetitions
GOALS = {"10 s": "300 ms", "5 min": "10%"}
TIMEOUT_S = 600.0


class WholeStack(Stack):
    """A stack with its usual limits, and the real engine."""

    @property
    def environment(self) -> dict[str, str]:
        """See Stack."""
        controlled = {"PYTHONPATH", "HOLD_FILE", "MAX_DURATION_SECONDS", "MAX_FILE_SIZE_MB"}
        return {n: v for n, v in super().environment.items() if n not in controlled}


def main() -> None:
    """Print a table; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        Path(folder).chmod(0o711)
        rows = _measure_all(Path(folder))
    result = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "rows": rows}
    print(json.dumps(result, indent=2))
    if arguments.write:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _measure_all(folder: Path) -> list[dict[str, Any]]:
    media = Media(folder)
    files = {
        name: media.make(
            f"{seconds}.mp3", "-stream_loop", "-1", "-i", str(SAMPLE), "-t", f"{seconds}"
        )
        for name, (seconds, _) in RECORDINGS.items()
    }
    with running_service(folder) as client:
        _transcribe(client, files["10 s"])  # loads the model
        return [_measure(client, name, files[name]) for name in RECORDINGS]


@contextmanager
def running_service(folder: Path) -> Iterator[httpx.Client]:
    """A client, with the token of a new account, of a service whose data is in `folder`."""
    var = folder / "var"
    var.mkdir()
    stack = WholeStack(var)
    try:
        stack.start()
        headers = {"Authorization": f"Bearer {stack.token('benchmark@example.com')}"}
        with httpx.Client(base_url=stack.url, headers=headers, timeout=TIMEOUT_S) as client:
            yield client
    finally:
        stack.stop()


def _measure(client: httpx.Client, name: str, file: Path) -> dict[str, Any]:
    runs = [_transcribe(client, file) for _ in range(RECORDINGS[name][1])]
    overheads = [total - engine for total, engine in runs]
    return {
        "recording": name,
        "total_s": round(statistics.median(total for total, _ in runs), 3),
        "engine_s": round(statistics.median(engine for _, engine in runs), 3),
        "overhead_ms": round(1000 * statistics.median(overheads)),
        "overhead_share": round(statistics.median(t / e - 1 for t, e in runs), 3),
        "goal": GOALS[name],
    }


def _transcribe(client: httpx.Client, file: Path) -> tuple[float, float]:
    """Seconds from the upload to the final event, and the seconds of the engine among them."""
    started = time.monotonic()
    with file.open("rb") as upload:
        request = client.stream("POST", "/api/transcribe/stream", files={"file": upload})
        with request as response:
            events = [line[6:] for line in response.iter_lines() if line.startswith("data: ")]
    total = time.monotonic() - started
    final = json.loads(events[-1])
    if final["type"] != "complete":
        raise RuntimeError(events[-1])
    return total, final["decode_seconds"]


if __name__ == "__main__":
    main()
