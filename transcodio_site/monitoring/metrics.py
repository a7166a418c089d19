"""The metrics of this process, and those of the installation, for Prometheus."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import cache

from django.db import connection
from prometheus_client import REGISTRY, CollectorRegistry, Gauge, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from accounts import concurrency
from transcodio_site import __version__
from transcodio_site.admission import uploads_from_address
from transcodio_site.disks import data_folders
from transcodio_site.monitoring import parts, processes
from transcodio_site.monitoring.shared_check import SharedCheck
from transcriptions.operations import metrics as database

log = logging.getLogger(__name__)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
TIMEOUT_S = 5.0  # Prometheus gives up after 10

http_seconds = Histogram(
    "transcodio_http_request_seconds",
    "Seconds until a response begins, by method and status class, such as 2xx.",
    ["method", "status"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
Gauge(
    "transcodio_watchers", "Open event streams, WebSockets and requests that wait for a transcript."
).set_function(lambda: concurrency.streams.in_use)
Gauge("transcodio_uploads", "Uploads whose bodies are being received.").set_function(
    lambda: uploads_from_address.in_use
)
Gauge("transcodio_build_info", "The version of this process.", ["version"]).labels(__version__).set(
    1
)


def of_process() -> bytes:
    """The counters of this process, and its CPU time, memory and open files."""
    return generate_latest(REGISTRY)


def of_installation() -> bytes:
    """Metrics that are the same in every process. Those that cannot be read are left out:
    `transcodio_part_up` says why."""
    return generate_latest(_installation)


class Installation(Collector):
    """Reads the state of the installation."""

    def collect(self) -> Iterable[Metric]:
        """All metrics that can be read in time. Those of the same name become one."""
        merged = dict[str, Metric]()
        for metric in self._read():
            if metric.name in merged:
                merged[metric.name].samples += metric.samples
            else:
                merged[metric.name] = deepcopy(metric)
        return merged.values()

    def _read(self) -> Iterator[Metric]:
        runs = [source.start() for source in _sources()]
        yield from _parts()
        for run in runs:
            try:
                yield from run.result(TIMEOUT_S)
            except Exception as error:  # Postgres or Valkey is down, or a query takes too long
                log.warning("some metrics are missing: %s: %s", type(error).__name__, error)


def _parts() -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "transcodio_part_up", "Whether a part works: see /health/ready.", labels=["part"]
    )
    seconds = GaugeMetricFamily(
        "transcodio_part_check_seconds", "How long the check of a part took.", labels=["part"]
    )
    for name, result in parts.results(parts.parts()).items():
        up.add_metric([name], float(result.ok))
        seconds.add_metric([name], result.milliseconds / 1000)
    yield from (up, seconds)


def _processes() -> list[Metric]:
    running = GaugeMetricFamily(
        "transcodio_processes", "Workers by queue, and schedulers (beat).", labels=["role"]
    )
    for role in (*parts.queues(), processes.BEAT):
        running.add_metric([role], processes.running(role))
    stopped = GaugeMetricFamily(
        "transcodio_restarts", "Restarts of a process in five minutes.", labels=["process"]
    )
    for process in processes.restarts():
        stopped.add_metric([process.name], process.times)
    return [running, stopped]


def _disk() -> list[Metric]:
    free = GaugeMetricFamily(
        "transcodio_disk_free_bytes", "Free space for VAR_DIR, and for recordings.", labels=["disk"]
    )
    size = GaugeMetricFamily("transcodio_disk_size_bytes", "Size of the disk.", labels=["disk"])
    for name, folder in data_folders().items():
        usage = shutil.disk_usage(folder)
        free.add_metric([name], usage.free)
        size.add_metric([name], usage.total)
    return [free, size]


def _with_database(read: Callable[[], list[Metric]]) -> Callable[[], list[Metric]]:
    def read_and_close() -> list[Metric]:
        try:
            return read()
        finally:
            connection.close()

    return read_and_close


@cache
def _sources() -> list[SharedCheck[list[Metric]]]:
    return [
        SharedCheck(_with_database(database.current), max_age_s=10),
        SharedCheck(_with_database(database.totals), max_age_s=600),
        *(SharedCheck(read, max_age_s=10) for read in (_processes, _disk)),
    ]


_installation = CollectorRegistry()
_installation.register(Installation())
