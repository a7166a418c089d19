"""Measure live events: python -m benchmarks.watchers [--watchers N] [--rate R] [--label LABEL]

N Server-Sent Events clients and N WebSockets follow 20 recordings of four users on one web process,
with embedded servers in a temporary folder. Measure an idle minute, then the delay between the
commit of a segment and its arrival while R segments are stored per second. The delay contains the
lag of the clients' own process, which is reported too. With --label the result is added to
benchmarks/results/watchers.json under that name.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "watchers.json"
PUBLISHED_EVENTS = 1000
SETTLE_S = 5.0
HEALTH_INTERVAL_S = 0.1


def main() -> None:
    """Print the result, and store it if it has a label."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watchers")
    parser.add_argument("--watchers", type=int, default=1000, help="of each kind")
    parser.add_argument("--rate", type=float, default=7.0, help="segments per second")
    parser.add_argument("--seconds", type=float, default=30.0, help="in which segments are stored")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds without events before")
    parser.add_argument("--label", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as var:
        os.environ |= {"VAR_DIR": var, "DJANGO_SETTINGS_MODULE": "transcodio_site.settings"}
        import django

        django.setup()
        from django.core.management import call_command

        from transcodio_site import embedded

        with embedded.servers(Path(var)):
            call_command("migrate", verbosity=0)
            result = _measure(options)
    print(json.dumps(result, indent=2))
    if options.label:
        _store(options.label, result)


def _store(label: str, result: dict[str, Any]) -> None:
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    stored["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, shared with other work"
    stored.setdefault("runs", {})[label] = result
    RESULTS.write_text(json.dumps(stored, indent=2) + "\n")


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.watchers import site

    web = site.WebProcess()
    try:
        rows = site.create_recordings()
        result: dict[str, Any] = {"watchers_of_each_kind": options.watchers}
        result["publish"] = _measure_publish(rows[0])
        before_mb = web.megabytes()
        client, opened_s = _open(web, site.watch_requests(web, rows, options.watchers))
        result["open_all_s"] = round(opened_s, 1)
        result["idle"] = _measure_idle(web, options)
        result["live"] = _measure_live(web, rows, options, client)
        result["memory_mb"] = {"before": round(before_mb), "with_watchers": round(web.megabytes())}
        client.communicate("\n", timeout=60)
        time.sleep(4 * SETTLE_S)
        result["memory_mb"]["after"] = round(web.megabytes())
        return result
    finally:
        web.stop()


def _measure_publish(row: Any) -> dict[str, float]:
    """The cost of one event for the process that publishes it."""
    from transcriptions.realtime import streams
    from transcriptions.realtime.publisher import publisher
    from transcriptions.schemas.events import MetadataEvent

    event = MetadataEvent.of(row)
    streams.publish(row.id, event)
    publisher.flush(60)
    started_at, cpu_at = time.perf_counter(), time.process_time()
    for _ in range(PUBLISHED_EVENTS):
        streams.publish(row.id, event)
    wall = time.perf_counter() - started_at
    publisher.flush(60)
    return {
        "ms_per_event": round(1000 * wall / PUBLISHED_EVENTS, 3),
        "cpu_ms_per_event": round(1000 * (time.process_time() - cpu_at) / PUBLISHED_EVENTS, 3),
    }


def _open(web: Any, watches: list[dict[str, Any]]) -> tuple[subprocess.Popen[str], float]:
    client = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.watchers.client"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    started_at = time.monotonic()
    _say(client, json.dumps({"port": web.port, "watches": watches}))
    if _hear(client) != "ready":
        raise RuntimeError("the client could not open its connections")
    return client, time.monotonic() - started_at


def _say(client: subprocess.Popen[str], line: str) -> None:
    if client.stdin:
        client.stdin.write(line + "\n")
        client.stdin.flush()


def _hear(client: subprocess.Popen[str]) -> str:
    return client.stdout.readline().strip() if client.stdout else ""


def _measure_idle(web: Any, options: argparse.Namespace) -> dict[str, float]:
    from benchmarks.watchers import site

    time.sleep(SETTLE_S)
    cpu_at, statements = web.cpu_s(), site.statements()
    time.sleep(options.idle)
    watchers = 2 * options.watchers
    per_minute = (site.statements() - statements) * 60 / options.idle
    return {
        "sql_statements_per_minute_and_watcher": round(per_minute / watchers, 2),
        "valkey_connections": site.valkey_connections(),
        "cpu_percent": round(100 * (web.cpu_s() - cpu_at) / options.idle, 1),
    }


def _measure_live(
    web: Any, rows: list[Any], options: argparse.Namespace, client: subprocess.Popen[str]
) -> dict[str, Any]:
    cpu_at, health = web.cpu_s(), _HealthProbe(web.url)
    health.start()
    committed = _write(rows, options.rate, options.seconds)
    time.sleep(SETTLE_S)
    cpu_s = web.cpu_s() - cpu_at
    health.stop()
    _say(client, "report")
    report = json.loads(_hear(client))
    delays = [at - committed[recording, number] for recording, number, at in report["received"]]
    watchers = {row: 2 * options.watchers // len(rows) for row in range(len(rows))}
    expected = sum(watchers[recording] for recording, _ in committed)
    return {
        "segments_per_s": round(len(committed) / options.seconds, 1),
        "deliveries": len(delays),
        "missing": expected - len(delays),
        "sockets_lost": report["lost"],
        **_percentiles("delay", delays),
        **_percentiles("client_lag", report["lags"]),
        **_percentiles("health", health.delays),
        "cpu_percent": round(100 * cpu_s / (options.seconds + SETTLE_S), 1),
        "cpu_us_per_delivery": round(1e6 * cpu_s / max(1, len(delays))),
    }


def _write(rows: list[Any], rate: float, seconds: float) -> dict[tuple[int, int], float]:
    """Store and publish segments. The times of their commits, by recording and number."""
    from transcriptions.realtime import streams
    from transcriptions.schemas.events import ProgressEvent
    from transcriptions.testing import add_segment

    committed = {}
    started_at = time.monotonic()
    for count in range(int(rate * seconds)):
        time.sleep(max(0.0, started_at + count / rate - time.monotonic()))
        recording = count % len(rows)
        segment = add_segment(rows[recording], count + 1)
        committed[recording, segment.number] = time.monotonic()
        streams.publish(rows[recording].id, ProgressEvent.of(segment))
    return committed


class _HealthProbe(threading.Thread):
    """Requests /health continuously."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.delays = f"{url}/health", list[float]()
        self._stopped = threading.Event()

    def run(self) -> None:
        """Send requests until `stop` is called."""
        with httpx.Client(timeout=60) as client:
            while not self._stopped.wait(HEALTH_INTERVAL_S):
                started_at = time.monotonic()
                client.get(self.url)
                self.delays.append(time.monotonic() - started_at)

    def stop(self) -> None:
        """Return when the last request has been answered."""
        self._stopped.set()
        self.join()


def _percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {f"{name}_p{p}_ms": round(1000 * cuts[p - 1], 1) for p in (50, 95, 99)}


if __name__ == "__main__":
    main()
