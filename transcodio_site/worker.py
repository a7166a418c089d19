"""Monitoring of the worker: it reports that it runs, and serves its metrics."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

import redis
from celery.signals import worker_init, worker_ready, worker_shutdown
from django.conf import settings

from transcodio_site.monitoring import processes
from transcodio_site.supervisor.leftovers import VARIABLE as SUPERVISOR
from transcodio_site.worker_memory import limit_heaps

log = logging.getLogger(__name__)

_stopping = threading.Event()


@worker_init.connect
def _limit_memory(**_: Any) -> None:
    limit_heaps()


@worker_ready.connect
def _start(sender: Any, **_: Any) -> None:
    """`sender` is the consumer. It has connected to the broker."""
    # Here, because Celery loads this module before the applications.
    from transcodio_site.monitoring.server import serve_metrics

    name = str(sender.hostname)
    roles = list(sender.app.amqp.queues.consume_from)
    report_start(name)
    if settings.METRICS_PORT:
        serve_metrics(settings.METRICS_PORT)
    threading.Thread(target=_report, args=(name, roles), daemon=True, name="heartbeat").start()


@worker_shutdown.connect
def _stop(**_: Any) -> None:
    _stopping.set()


def report_start(name: str) -> None:
    """Report a start that may follow a crash. The supervisor, if there is one, reports crashes
    itself, with their cause."""
    if SUPERVISOR not in os.environ:
        processes.report_stop(name, "see its log")


def _report(name: str, roles: list[str]) -> None:
    while not _stopping.is_set():
        _ignore_outage(processes.report_running, name, roles)
        _stopping.wait(processes.REPORT_INTERVAL_S)
    _ignore_outage(processes.report_exit, name, roles)


def _ignore_outage(report: Any, name: str, roles: list[str]) -> None:
    try:
        report(name, roles)
    except redis.RedisError as error:
        log.warning("%s could not report that it runs: %s", name, error)
