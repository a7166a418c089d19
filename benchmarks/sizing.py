"""Compute docs/sizing.md from the measured figures: python -m benchmarks.sizing

The figures are in benchmarks/results/*.json and in gpu/pricing.py. A test compares the page with
what this module computes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu.config import MODAL_MAX_CONTAINERS
from gpu.pricing import usd_per_audio_minute, usd_per_second

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENT = ROOT / "docs" / "sizing.md"

TIERS = (1_000, 10_000, 100_000, 1_000_000)  # audio minutes a day
MINUTES_PER_DAY = 24 * 60
PEAK = 3  # times the average of a day
BUSY = 0.7  # share of a core that is used at the peak
RECORDING_MINUTES = 10
SEGMENTS_PER_MINUTE = 12
RETENTION_DAYS = 30
GPU = "L4"
STREAMS = 32  # decoded together on one GPU
# Not measured: assumes that a step reads all weights, and reaches 60 % of the GPU's memory
# bandwidth.
CALCULATED_RTFX = 48.0
CONNECTIONS_PER_RECORDING = 2  # during its processing: its events, and its lease
# The machine to which the limits apply, and the defaults of its servers.
CORES, DISK_TB, POSTGRES_CONNECTIONS = 8, 1.0, 100


@dataclass(frozen=True, slots=True)
class Figures:
    """The performance of one core or one GPU."""

    whisper_rtfx: float  # of one core
    gpu_rtfx: float
    gpu_is_measured: bool
    preparation_s: float  # CPU seconds per audio minute
    source_mb: float  # per audio minute
    segment_s: float | None  # CPU seconds of the worker to store and publish a segment
    postgres_s: float | None  # CPU seconds of Postgres for this
    ledger_row_s: float

    @property
    def usd_per_minute(self) -> float:
        """Modal's price of a minute of audio."""
        price = usd_per_second(GPU)
        assert price is not None  # noqa: S101 - for mypy
        return usd_per_audio_minute(price, self.gpu_rtfx)


def figures() -> Figures:
    """Read the results."""
    whisper, preparation = _result("whisper-cpu"), _result("preprocessing")
    engine = next(row for row in whisper["rows"] if row["is_default"])
    gpu = _result(f"kyutai-{GPU.lower()}-2.6b").get("rows", [])
    measured = max((row["rtfx"] for row in gpu if row["rows"] <= STREAMS), default=0.0)
    live = [row for row in _result("segments").get("live", []) if row["published"]]
    write = next(row for row in _result("usage-reports")["rows"] if row["what"] == "write one row")
    return Figures(
        whisper_rtfx=whisper["audio_s"] / engine["cpu_s"],
        gpu_rtfx=measured or CALCULATED_RTFX,
        gpu_is_measured=bool(measured),
        preparation_s=preparation["cpu_s_per_audio_minute"],
        source_mb=preparation["source_mb_per_audio_minute"],
        segment_s=live[-1]["cpu_ms_per_segment"] / 1000 if live else None,
        postgres_s=live[-1]["postgres_cores"] / live[-1]["segments_per_s"] if live else None,
        ledger_row_s=write["median_ms"] / 1000,
    )


def _result(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def peak(minutes_per_day: float) -> float:
    """Audio minutes that arrive in a minute at the busiest time."""
    return minutes_per_day / MINUTES_PER_DAY * PEAK


def per_day(audio_minutes_per_minute: float) -> float:
    """The opposite of `peak`."""
    return audio_minutes_per_minute * MINUTES_PER_DAY / PEAK


def needs(found: Figures, minutes: int) -> list[str]:
    """A row of the first table: the machines that this amount of audio needs at the peak."""
    arriving = peak(minutes)
    segments = arriving * SEGMENTS_PER_MINUTE / 60
    writing = None if found.segment_s is None else segments * found.segment_s / BUSY
    postgres = None if found.postgres_s is None else segments * found.postgres_s / BUSY
    return [
        f"{minutes:,}",
        number(arriving),
        number(arriving * found.preparation_s / 60 / BUSY),
        number(arriving / found.whisper_rtfx / BUSY),
        number(arriving / found.gpu_rtfx / BUSY),
        number(segments),
        "not measured" if writing is None or postgres is None else number(writing + postgres),
        size(minutes * found.source_mb * RETENTION_DAYS),
    ]


def prices(found: Figures, minutes: int) -> list[str]:
    """A row of the second table: Modal's prices."""
    day = minutes * found.usd_per_minute
    return [f"{minutes:,}", f"{day:,.2f}", f"{30 * day:,.0f}"]


def limits(found: Figures) -> list[tuple[float, str, str]]:
    """Audio minutes per day at which a resource of one machine is exhausted, the resource, and the
    remedy."""
    parallel = POSTGRES_CONNECTIONS / CONNECTIONS_PER_RECORDING
    per_recording = found.gpu_rtfx / STREAMS  # speed of one of the recordings that share a GPU
    all_limits = [
        (
            per_day(CORES * BUSY * found.whisper_rtfx),
            f"Whisper on {CORES} cores",
            "more machines with the queue `transcribe`, a GPU, or Modal",
        ),
        (
            per_day(MODAL_MAX_CONTAINERS * BUSY * found.gpu_rtfx),
            f"{MODAL_MAX_CONTAINERS} GPUs at Modal, the default",
            "`MODAL_MAX_CONTAINERS`",
        ),
        (
            DISK_TB * 1e6 / found.source_mb / RETENTION_DAYS,
            f"a disk of {DISK_TB:.0f} TB, with a retention of {RETENTION_DAYS} days",
            "a shorter retention, or a larger shared file system",
        ),
        (
            per_day(parallel * per_recording),
            f"{POSTGRES_CONNECTIONS} connections of PostgreSQL, the default",
            "[PgBouncer](self-hosting.md#pgbouncer)",
        ),
        (
            per_day(CORES * BUSY * 60 / found.preparation_s),
            f"decoding on {CORES} cores",
            "more machines with the queue `preprocess`",
        ),
        (
            per_day(RECORDING_MINUTES * 60 / found.ledger_row_s),
            "the ledger of usage, one row after the other",
            "nothing: accounts do not wait for each other",
        ),
    ]
    if found.postgres_s is not None:
        rate = CORES * BUSY / found.postgres_s
        remedy = "a larger machine for PostgreSQL"
        all_limits.append(
            (per_day(rate * 60 / SEGMENTS_PER_MINUTE), f"PostgreSQL on {CORES} cores", remedy)
        )
    return sorted(all_limits)


def number(value: float) -> str:
    """A number with two significant digits; below one, with one."""
    if value < 0.1:
        return "< 0.1"
    return f"{value:.1f}" if value < 10 else f"{float(f'{value:.2g}'):,.0f}"


def size(megabytes: float) -> str:
    """A size in GB or TB."""
    return f"{megabytes / 1e3:,.0f} GB" if megabytes < 1e6 else f"{megabytes / 1e6:,.1f} TB"


def table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def document() -> str:
    """The page."""
    found = figures()
    calculated = "calculated from its memory bandwidth, and not measured yet"
    source = "measured" if found.gpu_is_measured else calculated
    return TEXT.format(
        peak=PEAK,
        minutes=RECORDING_MINUTES,
        segments=SEGMENTS_PER_MINUTE,
        retention=RETENTION_DAYS,
        busy=f"{BUSY:.0%}",
        whisper=f"{found.whisper_rtfx:.1f}",
        preparation=f"{found.preparation_s:.1f}",
        source_mb=f"{found.source_mb:.1f}",
        gpu=GPU,
        rtfx=f"{found.gpu_rtfx:.0f}",
        streams=STREAMS,
        gpu_source=source,
        price=f"{found.usd_per_minute:.5f}",
        cores=CORES,
        needs=table(NEEDS, (needs(found, minutes) for minutes in TIERS)),
        prices=table(PRICES, (prices(found, minutes) for minutes in TIERS)),
        limits=table(LIMITS, ([number(at), what, todo] for at, what, todo in limits(found))),
    )


NEEDS = (
    "Audio minutes a day",
    "Arriving per minute at the peak",
    "Cores for decoding",
    "Cores for Whisper",
    f"or {GPU} GPUs",
    "Segments per second",
    "Cores to store and publish them",
    f"Recordings kept for {RETENTION_DAYS} days",
)
PRICES = ("Audio minutes a day", "USD per day", "USD per month")
LIMITS = ("Audio minutes a day", "What is used up", "What to do")
TEXT = """# Sizing

How many machines an amount of audio needs, what speech recognition costs at Modal, and what breaks
first. The command `python -m benchmarks.sizing` computes this page from the figures in
`benchmarks/results/`, and a test compares both.

The tables assume recordings of {minutes} minutes, {segments} segments per minute, a peak of {peak}
times the average of a day, and machines that are {busy} busy at the peak. They rest on these
figures, measured on two cores of x86-64:

- Whisper base transcribes {whisper} times as fast as real time on one core.
- Decoding a minute, finding its speech and drawing its waveform takes {preparation} s of one core.
- The original of a minute has {source_mb} MB (MP3 with 128 kbit/s).
- Kyutai STT on an {gpu} transcribes {streams} recordings together, {rtfx} times as fast as real
  time ({gpu_source}).

Measure your own recordings before you buy machines: `manage.py engine_check` reports the speed of
the engine.

## What it needs

{needs}

## What Modal charges

{price} USD per audio minute: the list price of an {gpu} with its container, shared by {streams}
recordings. Starts and idle time of containers come on top.

{prices}

## What breaks first

On one machine with {cores} cores and default settings. Of the parts that you use, the first line
breaks first.

{limits}
"""


if __name__ == "__main__":
    DOCUMENT.write_text(document())
