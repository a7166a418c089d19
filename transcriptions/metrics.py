"""Counters and histograms of this process, for Prometheus.

Anything that is in the database is not counted here: see operations/metrics.py. Labels have few
values, and none of them names a user or a recording.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from accounts.models import UsageRecord

MINUTE, HOUR = 60, 3600

stage_seconds = Histogram(
    "transcodio_stage_seconds",
    "Seconds of work on a recording by stage, whether it succeeded or not.",
    ["stage"],
    buckets=(0.25, 0.5, 1, 2.5, 5, 10, 30, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR),
)
segment_seconds = Histogram(
    "transcodio_segment_seconds",
    "Seconds to store and publish what the engine has sent.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
real_time_factor = Histogram(
    "transcodio_real_time_factor",
    "Engine time / audio time of completed recordings. Lower is better.",
    ["engine"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
engine_seconds = Counter(
    "transcodio_engine_seconds_total",
    "Seconds that the speech engine used, on a GPU or a CPU.",
    ["engine", "device"],
)
attempts = Counter(
    "transcodio_attempts_total", "Attempts at recordings that have ended.", ["outcome"]
)
errors = Counter(
    "transcodio_errors_total",
    "Errors while recordings were processed; after each, the recording fails or is retried.",
    ["code", "outcome"],
)
webhook_attempts = Counter(
    "transcodio_webhook_attempts_total", "Attempts to deliver a webhook.", ["result"]
)


def count_attempt(record: UsageRecord) -> None:
    """Count an attempt that has ended, with the engine time that it used."""
    attempts.labels(record.outcome).inc()
    if record.decode_ms:
        device = "cpu" if record.engine == "whisper" else "gpu"
        engine_seconds.labels(record.engine, device).inc(record.decode_seconds)
