"""Measure the memory of a long live session: python -m benchmarks.live_memory [--write]

Recordings are repeated in real time for an hour, or --minutes, through the WebSocket of a whole
running service. The resident memory of the web process, of the worker for live speech and of all
processes of Postgres is recorded twice a minute. What matters is its growth after the first
quarter, when the model is loaded and all buffers have their final size.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks import speech
from benchmarks.overhead import WholeStack
from gpu import pcm
from gpu.tests.wer import NORMALIZER, word_errors
from transcodio_site.cli.live_connection import LiveConnection

RESULTS = Path(__file__).parent / "results" / "live-memory.json"
CHUNK_S = 0.1
SAMPLE_INTERVAL_S = 30.0
GOALS = {"growth_mb_per_hour": 20, "lost_bytes": 0}
# Words in the command line of each process; the first match counts.
PROCESSES = {"web": "transcodio_site.server", "live_worker": "queues live", "postgres": "postgres"}


class LongStack(WholeStack):
    """A stack whose limits a long session does not reach."""

    @property
    def environment(self) -> dict[str, str]:
        """See Stack."""
        return super().environment | {"MAX_DURATION_SECONDS": str(24 * 3600)}


@dataclass
class LongSession:
    """One session in real time, and its results."""

    samples: np.ndarray  # 16 bits, 24 kHz
    begun: float = 0.0  # on the monotonic clock, when the first sample was spoken
    texts: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)  # of segments after their end, in seconds
    received: int = 0  # bytes that the server has confirmed
    last_event: str = ""

    async def run(self, server: str, token: str) -> None:
        """Send everything, and wait for the last event."""
        parameters = {"language": "en", "sample_rate": str(pcm.SAMPLE_RATE_HZ)}
        connection = LiveConnection(server, token, parameters, self._note, lambda: None)
        receiving = asyncio.create_task(connection.run())
        self.begun = time.monotonic()
        size = round(CHUNK_S * pcm.SAMPLE_RATE_HZ)
        for first in range(0, len(self.samples), size):
            due = self.begun + (first + size) / pcm.SAMPLE_RATE_HZ
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            connection.add(self.samples[first : first + size].tobytes())
        connection.finish()
        await receiving

    def _note(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "progress":
                self.texts.append(event["segment"]["text"])
                self.delays.append(time.monotonic() - self.begun - event["segment"]["end"])
            case "received":
                self.received = event["received"]
        self.last_event = event["type"]


@dataclass
class Memory:
    """The resident memory of the processes of a service, in MB, twice a minute."""

    supervisor: psutil.Process
    series: dict[str, list[float]] = field(default_factory=lambda: {n: [] for n in PROCESSES})

    async def watch(self) -> None:
        """Record until cancelled."""
        while True:
            await asyncio.sleep(SAMPLE_INTERVAL_S)
            for name, size in self._sizes().items():
                self.series[name].append(round(size / 2**20, 1))

    def _sizes(self) -> dict[str, int]:
        sizes = dict.fromkeys(PROCESSES, 0)
        for process in self.supervisor.children(recursive=True):
            try:
                line, memory = " ".join(process.cmdline()), process.memory_full_info()
            except psutil.NoSuchProcess:
                continue
            name = next((name for name, words in PROCESSES.items() if words in line), None)
            if name:  # shared pages of Postgres processes count proportionally
                sizes[name] += memory.pss if name == "postgres" else memory.rss
        return sizes

    def summary(self) -> dict[str, Any]:
        """Medians of the quarters, and the growth per hour from the second to the last one."""
        return {name: _growth(series) for name, series in self.series.items()}


def _growth(series: list[float]) -> dict[str, Any]:
    quarters = [statistics.median(part) for part in np.array_split(series, 4) if len(part)]
    hours = len(series) / 2 * SAMPLE_INTERVAL_S / 3600  # between the middles of the two quarters
    return {
        "quarters_mb": quarters,
        "growth_mb_per_hour": round((quarters[-1] - quarters[1]) / hours, 1),
        "series_mb": series,
    }


def main() -> None:
    """Print the results; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_memory")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--minutes", type=float, default=60.0)
    arguments = parser.parse_args()
    recording = speech.long_recording(60 * arguments.minutes)
    repetitions = max(1, round(60 * arguments.minutes / recording.seconds))
    session = LongSession(np.tile(recording.samples, repetitions))
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        Path(folder).chmod(0o711)
        measured = _measure(session, Path(folder))
    errors = word_errors(" ".join([recording.text] * repetitions), " ".join(session.texts))
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "normalizer": NORMALIZER,
        "goals": GOALS,
        **measured,
        "wer_percent": round(100 * errors.rate, 2),
    }
    print(json.dumps(result, indent=2))
    if arguments.write:
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _measure(session: LongSession, folder: Path) -> dict[str, Any]:
    stack = LongStack(folder)
    load = os.getloadavg()[0]
    try:
        stack.start()
        token = stack.token("benchmark@example.com")
        memory = Memory(psutil.Process(stack.process.pid if stack.process else None))
        asyncio.run(_run(session, memory, stack.url, token))
        segments = _stored_segments(stack.url, token)
    finally:
        stack.stop()
    median, high, highest = np.percentile(session.delays, [50, 95, 100])
    return {
        "load_before": round(load, 1),
        "load_after": round(os.getloadavg()[2], 1),
        "audio_s": round(len(session.samples) / pcm.SAMPLE_RATE_HZ, 1),
        "last_event": session.last_event,
        "lost_bytes": session.samples.nbytes - session.received,
        "segments": len(session.texts),
        "segments_stored": segments,
        "segment_delay_median_s": round(float(median), 2),
        "segment_delay_p95_s": round(float(high), 2),
        "segment_delay_max_s": round(float(highest), 2),
        "memory": memory.summary(),
    }


async def _run(session: LongSession, memory: Memory, server: str, token: str) -> None:
    watching = asyncio.create_task(memory.watch())
    await session.run(server, token)
    watching.cancel()


def _stored_segments(server: str, token: str) -> int:
    with httpx.Client(base_url=server, headers={"Authorization": f"Bearer {token}"}) as client:
        items = client.get("/api/transcriptions").raise_for_status().json()["items"]
        detail = client.get(f"/api/transcriptions/{items[0]['id']}").raise_for_status().json()
        return len(detail["segments"])


if __name__ == "__main__":
    main()
