"""Measure how long the first words take.

python -m benchmarks.first_segment [--kinds | --speakers] [--write]

Recordings of up to four hours are uploaded to a running service, which stops them after the first
segment. CPU times are those of all processes of the service.

With --kinds, the recordings have an hour each, but no duration in the header, several tracks,
silence at the beginning, or channels that are recognized separately.

With --speakers, shorter ones are uploaded with and without the detection of speakers in turn, which
must not delay the words.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.overhead import running_service
from transcodio_site.testing import SAMPLE, Media

RESULTS = Path(__file__).parent / "results"
# Seconds, and FFmpeg's options for the output.
RECORDINGS = {
    "10s.mp3": (10, ()),
    "5min.mp3": (300, ()),
    "1h.mp3": (3600, ()),
    "1h.m4a": (3600, ("-ac", "2", "-b:a", "96k")),
    "1h.wav": (3600, ("-ar", "16000")),
    "4h.mp3": (14_400, ("-b:a", "64k")),
}
# Two persons who take turns every ten seconds, each on a channel of their own.
CALL = (
    "asplit[a][b];[a]volume=0:enable='gte(mod(t,20),10)'[first];"
    "[b]volume=0:enable='lt(mod(t,20),10)'[second];"
    "[first][second]join=inputs=2:channel_layout=stereo"
)
KINDS = {
    "unknown duration.webm": (3600, ("-live", "1")),
    "unknown duration.flac": (3600, ("-seekable", "0")),
    "two tracks.mkv": (3600, ("-map", "0:a", "-map", "0:a")),
    "silent for 2 min.mp3": (3600, ("-af", "adelay=120s")),
    "silent for 4 min.mp3": (3600, ("-af", "adelay=240s")),
    "silent for 9 min.mp3": (3600, ("-af", "adelay=540s")),
    "separate, one channel.mp3": (3600, ()),
    "separate, two channels.mp3": (3600, ("-af", CALL)),
}
GOAL_S = 3.0
Ways = Mapping[str, Mapping[str, str]]  # fields of the upload
WAYS: Ways = {"default": {}}
SEPARATE: Ways = {"separate channels": {"channels": "separate"}}
WITH_SPEAKERS = ("10s.mp3", "5min.mp3", "1h.mp3")
SPEAKERS_WAYS: Ways = {
    "without speakers": {"diarize": "false"},
    "with speakers": {"diarize": "true"},
}
Row = dict[str, Any]

IDLE_S = 600.0  # the longest time that the service needs to stop its work


def main() -> None:
    """Print the medians; with --write, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_segment")
    parser.add_argument("--write", action="store_true", help="write the results as JSON")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--kinds", action="store_true", help="recordings of other kinds")
    chosen.add_argument("--speakers", action="store_true", help="with and without speakers")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.speakers:
        ways, results = dict.fromkeys(WITH_SPEAKERS, SPEAKERS_WAYS), "first-segment-speakers"
    elif arguments.kinds:
        ways, results = {name: _ways_of_kind(name) for name in KINDS}, "first-segment-kinds"
    else:
        ways, results = dict.fromkeys(RECORDINGS, WAYS), "first-segment"
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as folder:
        Path(folder).chmod(0o711)
        rows = _measure_all(Path(folder), ways, arguments.rounds)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[2], 1),
        "goal_s": GOAL_S,
        "rows": rows,
    }
    print(json.dumps(result, indent=2))
    if arguments.write:
        (RESULTS / f"{results}.json").write_text(json.dumps(result, indent=2) + "\n")


def _ways_of_kind(name: str) -> Ways:
    return SEPARATE if name.startswith("separate") else WAYS


def _measure_all(folder: Path, ways: Mapping[str, Ways], rounds: int) -> list[Row]:
    """`ways` by the name of a recording."""
    media = Media(folder)
    files = {name: _recording(media, name) for name in ways}
    with running_service(folder) as client:
        _first_segment(client, _recording(media, "10s.mp3"), {})  # loads the model
        measured = (_measure(client, files[name], ways[name], rounds) for name in ways)
        return [row for rows in measured for row in rows]


def _recording(media: Media, name: str) -> Path:
    seconds, options = (RECORDINGS | KINDS)[name]
    return media.make(name, "-stream_loop", "-1", "-i", str(SAMPLE), "-t", f"{seconds}", *options)


def _measure(client: httpx.Client, file: Path, ways: Ways, rounds: int) -> Iterator[Row]:
    """Measure all ways in turn in each round, so that other load on the machine affects them
    equally."""
    runs: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, fields in ways.items():
            runs[way].append(_first_segment(client, file, fields))
    for way, measured in runs.items():
        seconds = [each for each, _ in measured]
        row = {
            "recording": file.name,
            "way": way,
            "first_segment_s": round(statistics.median(seconds), 2),
            "fastest_s": round(min(seconds), 2),
            "cpu_s": round(statistics.median(cpu for _, cpu in measured), 1),
        }
        print(row, flush=True)
        yield row


def _first_segment(
    client: httpx.Client, file: Path, fields: Mapping[str, str]
) -> tuple[float, float]:
    """Seconds from the upload to the first segment, and CPU seconds of the service until then."""
    cpu, started = _cpu_seconds(), time.perf_counter()
    with file.open("rb") as upload:
        form = {"language": "en", **fields}
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
    """CPU seconds of all processes of the service, including ended ones."""
    total = 0.0
    for process in _processes():
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _wait_until_idle() -> None:
    """Wait until the service no longer works on the deleted recording."""
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
