"""Measure the cost of storing and publishing a segment: python -m benchmarks.segments [--write]

In a temporary embedded Postgres and Valkey: the time, the CPU time of this process and the round
trips to Postgres of one segment of an hour of audio, with few and with thousands of segments
stored, and the share of updates that PostgreSQL makes in place (HOT). Then STREAMS recordings are
written at the rate of live speech. --write writes benchmarks/results/segments.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from gpu.types import Segment, UsageDelta, Word

if TYPE_CHECKING:
    from transcriptions.models import Segment as StoredSegment
    from transcriptions.models import State, Transcription

ROOT = Path(__file__).parent.parent
AUDIO_S, POINTS, SPANS = 3600.0, 36_000, 600  # of the recording
WORDS_PER_SEGMENT, VOCABULARY = 12, 5000
STORED = (10, 4000)  # segments before the measurement
REPETITIONS = 200
BATCH = 8  # segments that an engine yields together
STREAMS, SEGMENTS_PER_S, SECONDS, THREADS = 400, 130, 20, 8


def main() -> None:
    """Print the measurements, and write the JSON if asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as var:
        os.environ |= {"VAR_DIR": var, "DJANGO_SETTINGS_MODULE": "transcodio_site.settings"}
        import django

        django.setup()
        from django.core.management import call_command

        from transcodio_site import embedded

        with embedded.servers(Path(var)):
            call_command("migrate", verbosity=0)
            result = {
                "machine": f"{platform.machine()}, {os.cpu_count()} cores, shared with other work",
                "one_segment": [_measure_one(stored) for stored in STORED],
                "batch": [_measure_one(10, BATCH)],
                "transcript": _measure_transcript(),
                "live": [_measure_live(publish) for publish in (False, True)],
            }
    if write:
        path = ROOT / "benchmarks" / "results" / "segments.json"
        path.write_text(json.dumps(result, indent=2) + "\n")


# --- One recording ------------------------------------------------------------------------------


def _measure_one(stored: int, batch: int = 1) -> dict[str, Any]:
    """The cost of a segment if `batch` segments are stored together."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    row = _claimed_recording(stored)
    for _ in range(10):
        _add_segments(row, batch)
    with CaptureQueriesContext(connection) as queries:
        _add_segments(row, batch)
    before, wall = _updates(), list[float]()
    cpu = time.process_time()
    for _ in range(REPETITIONS):
        started_at = time.perf_counter()
        _add_segments(row, batch)
        wall.append(time.perf_counter() - started_at)
    cpu = time.process_time() - cpu
    updates = {name: count - before[name] for name, count in _updates().items()}
    return _printed(
        {
            "segments_stored": stored,
            "batch": batch,
            "median_ms": round(1000 * statistics.median(wall) / batch, 2),
            "cpu_ms": round(1000 * cpu / REPETITIONS / batch, 2),
            "round_trips": len(queries) / batch,
            "updates": updates["all"] / REPETITIONS / batch,
            "hot_percent": round(100 * updates["hot"] / updates["all"], 1),
        }
    )


def _claimed_recording(segments: int = 0) -> Transcription:
    """A recording of an hour whose engine has started. Its first `segments` segments are stored."""
    from accounts.models import User
    from gpu.types import Metadata, Span
    from transcriptions.models import Segment as StoredSegment
    from transcriptions.models import State, Transcription
    from transcriptions.processing import lifecycle
    from transcriptions.waveform import Waveform

    owner, _ = User.objects.get_or_create(email="speaker@example.com")
    row_id = Transcription.objects.create(owner=owner, title="Meeting", source_bytes=1).id
    row = _claim(row_id, State.PREPROCESSING)
    step = AUDIO_S / SPANS
    lifecycle.mark_prepared(
        row,
        audio="recordings/meeting.wav",
        format="mp3",
        duration=AUDIO_S,
        spans=[Span(round(n * step, 3), round((n + 0.8) * step, 3)) for n in range(SPANS)],
        waveform=Waveform(*[bytes(37 * n % 256 for n in range(POINTS))] * 2),
        note="",
    )
    StoredSegment.objects.bulk_create(
        StoredSegment(
            transcription=row,
            number=number,
            start=spoken.start,
            end=spoken.end,
            text=spoken.text,
            words=[{"start": w.start, "end": w.end, "text": w.text} for w in spoken.words],
        )
        for number, spoken in enumerate((_spoken() for _ in range(segments)), 1)
    )
    row = _claim(row_id, State.TRANSCRIBING)
    lifecycle.mark_started(row, "whisper", Metadata("en", "whisper-base"))  # updates the index
    return row


def _claim(row_id: uuid.UUID, state: State) -> Transcription:
    from transcriptions.processing import lifecycle

    if row := lifecycle.claim(row_id, state):
        return row
    raise RuntimeError(f"{row_id} cannot be claimed")


_seconds = itertools.cycle(range(int(AUDIO_S)))


def _spoken() -> Segment:
    start = float(next(_seconds))
    words = [f"word{37 * (start + n) % VOCABULARY:.0f}" for n in range(WORDS_PER_SEGMENT)]
    return Segment(
        tuple(Word(start + n / 10, start + (n + 0.9) / 10, w) for n, w in enumerate(words))
    )


def _add_segments(row: Transcription, count: int = 1) -> list[StoredSegment]:
    from transcriptions.processing import lifecycle

    row.unsaved_usage = UsageDelta(0.1, "L4")
    return lifecycle.add_segments(row, [_spoken() for _ in range(count)])


def _updates() -> dict[str, int]:
    """The number of updated rows in all tables, and of those that were updated in place."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT sum(n_tup_upd), sum(n_tup_hot_upd) FROM pg_stat_user_tables")
        ((updates, hot),) = cursor.fetchall()
    return {"all": int(updates), "hot": int(hot)}


def _measure_transcript() -> dict[str, Any]:
    """Measure reads of a long transcript."""
    from gpu.types import Complete
    from transcriptions.editing import service
    from transcriptions.exports.service import export
    from transcriptions.processing import lifecycle

    row, texts = _claimed_recording(STORED[-1]), itertools.count()
    lifecycle.mark_completed(row, Complete(AUDIO_S, 100.0))
    operations = {
        "text_ms": lambda: row.text,
        "subtitles_ms": lambda: export(row, "srt"),
        "correction_ms": lambda: service.correct(row, 7, f"Text {next(texts)}."),
    }
    return _printed(
        {"segments": STORED[-1], **{name: _median_ms(each) for name, each in operations.items()}}
    )


def _median_ms(operation: Callable[[], object]) -> float:
    times = []
    for _ in range(20):
        started_at = time.perf_counter()
        operation()
        times.append(time.perf_counter() - started_at)
    return round(1000 * statistics.median(times), 1)


# --- Live streams -------------------------------------------------------------------------------


def _measure_live(publish: bool) -> dict[str, Any]:
    """Write the segments of STREAMS recordings at the rate of live speech, in THREADS threads."""
    rows = [_claimed_recording() for _ in range(STREAMS)]
    waits: list[float] = []
    threads = [
        threading.Thread(target=_write_live, args=(rows[n::THREADS], publish, waits))
        for n in range(THREADS)
    ]
    before = _server_cpu()
    cpu, started_at = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, cpu = time.perf_counter() - started_at, time.process_time() - cpu
    after = _server_cpu()
    return _printed(
        {
            "streams": STREAMS,
            "published": publish,
            "segments_per_s": round(len(waits) / seconds, 1),
            "p50_ms": round(1000 * statistics.median(waits), 1),
            "p99_ms": round(1000 * statistics.quantiles(waits, n=100)[98], 1),
            "cpu_ms_per_segment": round(1000 * cpu / len(waits), 2),
            "cores": round(cpu / seconds, 3),
            **{f"{name}_cores": round((after[name] - before[name]) / seconds, 3) for name in after},
        }
    )


def _write_live(rows: list[Transcription], publish: bool, waits: list[float]) -> None:
    """Write a segment every THREADS / SEGMENTS_PER_S seconds; append the delay from when it was
    due."""
    from django.db import connection

    from transcriptions.realtime import streams
    from transcriptions.schemas.events import ProgressEvent

    due, turns = time.perf_counter(), itertools.cycle(rows)
    for _ in range(SEGMENTS_PER_S * SECONDS // THREADS):
        due += THREADS / SEGMENTS_PER_S
        time.sleep(max(0.0, due - time.perf_counter()))
        row = next(turns)
        for segment in _add_segments(row):
            if publish:
                streams.publish(row.id, ProgressEvent.of(segment))
        waits.append(time.perf_counter() - due)
    connection.close()


def _server_cpu() -> dict[str, float]:
    """CPU seconds that Postgres and Valkey have used so far, including closed connections.

    Both are children of this process.
    """
    used = {"postgres": 0.0, "valkey": 0.0}
    for process in psutil.Process().children(recursive=True):
        for name in used:
            if process.name().startswith(name):
                used[name] += sum(process.cpu_times()[:4])  # user and system, of children too
    return used


def _printed(result: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
