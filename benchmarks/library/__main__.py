"""Measure a large library: python -m benchmarks.library [--recordings 100000] [--write]

Lists, searches and transcripts of two accounts in a temporary embedded Postgres: one account has a
fifth of all recordings, the other one has a hundred. Times are those of the web process, with
queries, HTML and JSON. --write writes benchmarks/results/library.json and library-plans.txt.
With --data DIR, the data folder is kept, and reused if it is already filled.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.library.corpus import Language, languages
from benchmarks.library.database import fill

RESULTS = Path(__file__).parent.parent / "results"
REPETITIONS, MIN_REPETITIONS, MAX_S = 40, 20, 8  # of each measurement
GOAL_P95_MS = 100
SEED = 17
NO_LIMIT = "1000000/minute"
LIMITS = (
    "RATE_LIMIT_PER_TOKEN",
    "RATE_LIMIT_PER_USER",
    "RATE_LIMIT_PER_ADDRESS",
    "RATE_LIMIT_PAGES",
)


def main() -> None:
    """Print a table, and write the results if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=100_000)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/library*")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the data in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as temporary:
        var = str(options.data or temporary)
        os.environ |= {"VAR_DIR": var, "DJANGO_SETTINGS_MODULE": "transcodio_site.settings"}
        os.environ |= dict.fromkeys(LIMITS, NO_LIMIT)
        import django

        django.setup()
        from transcodio_site import embedded

        with embedded.servers(Path(var)):
            _run(options.recordings, options.write)


def _run(recordings: int, write: bool) -> None:
    made = languages(SEED)
    sizes = fill(recordings, made, random.Random(SEED))  # noqa: S311 - test data
    measure(sizes, made, write)


def measure(sizes: dict[str, Any], made: dict[str, Language], write: bool) -> None:
    """Print a table, and write the results if asked to."""
    rng, load = random.Random(SEED), os.getloadavg()[0]  # noqa: S311 - test data
    # Imports of models, which need the settings.
    from benchmarks.library.operations import Account, operations, plans

    gc.freeze()  # garbage collection would visit the vocabularies at times
    rows = []
    accounts = {"large account": Account(0, made, rng), "typical account": Account(1, made, rng)}
    for name, account in accounts.items():
        print(f"{name}: {account.recordings} recordings (ms: p50, p95, p95 of queries, of CPU)")
        searches = Samples()
        for what, variants in operations(account).items():
            samples = _measure(variants)
            rows.append({"account": name, "what": what, **samples.summary(what)})
            if what.startswith("search: "):
                searches += samples
        what = "search: all kinds"
        rows.append({"account": name, "what": what, **searches.summary(what)})
    if write:
        result = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, embedded Postgres",
            "load_before_and_after": [round(load, 1), round(os.getloadavg()[0], 1)],
            "goal_p95_ms": GOAL_P95_MS,
            **sizes,
            "rows": rows,
        }
        (RESULTS / "library.json").write_text(json.dumps(result, indent=2) + "\n")
        (RESULTS / "library-plans.txt").write_text(plans(accounts["large account"]))


class DatabaseTime:
    """Milliseconds of queries since the last call of `take`, and CPU milliseconds of the
    connection's server process (only on Linux)."""

    def __init__(self) -> None:
        self._total = self._cpu = 0.0

    def __call__(self, execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        """See Django's `execute_wrapper`."""
        backend = context["connection"].connection.info.backend_pid
        started_at, cpu_before = time.perf_counter(), _cpu_ms(backend)
        try:
            return execute(sql, parameters, many, context)
        finally:
            self._total += 1000 * (time.perf_counter() - started_at)
            self._cpu += _cpu_ms(backend) - cpu_before

    def take(self) -> tuple[float, float]:
        """Return and reset them."""
        taken = (self._total, self._cpu)
        self._total = self._cpu = 0.0
        return taken


def _cpu_ms(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6
    except OSError:
        return 0.0


@dataclass(frozen=True, slots=True)
class Samples:
    """Milliseconds of requests: in total, of their queries, and of CPU."""

    times: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def __iadd__(self, other: Samples) -> Samples:
        self.times.extend(other.times)
        self.database.extend(other.database)
        self.cpu.extend(other.cpu)
        return self

    def summary(self, what: str) -> dict[str, float]:
        """Median and 95th percentiles, which are also printed."""
        result = {"p50_ms": statistics.median(self.times), "p95_ms": _p95(self.times)}
        result |= {"database_p95_ms": _p95(self.database), "cpu_p95_ms": _p95(self.cpu)}
        result = {name: round(value, 1) for name, value in result.items()}
        mark = "" if result["p95_ms"] <= GOAL_P95_MS else f"  goal: {GOAL_P95_MS}"
        columns = "".join(f"{value:9.1f}" for value in result.values())
        print(f"{columns}  {what}{mark}", flush=True)
        return result


def _measure(variants: list[Callable[[], None]]) -> Samples:
    """Times of the variants, each with a different word or page. The first one fills caches."""
    from django.db import connection

    variants[0]()
    samples, database = Samples(), DatabaseTime()
    ends_at = time.perf_counter() + MAX_S
    with connection.execute_wrapper(database):
        for number in range(REPETITIONS):
            if number >= MIN_REPETITIONS and time.perf_counter() > ends_at:
                break
            started_at, cpu_before = time.perf_counter(), time.thread_time()
            variants[number % len(variants)]()
            samples.times.append(1000 * (time.perf_counter() - started_at))
            database_time, database_cpu = database.take()
            samples.database.append(database_time)
            samples.cpu.append(1000 * (time.thread_time() - cpu_before) + database_cpu)
    return samples


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


if __name__ == "__main__":
    main()
