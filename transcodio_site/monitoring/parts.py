"""The parts that an installation consists of, each with a check of whether it works.

Every check has connections of its own: neither a hanging server nor a busy pool delays a result.
"""

from __future__ import annotations

import logging
import pkgutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import psycopg
from celery import current_app
from django.apps import apps
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection

from transcodio_site import valkey
from transcodio_site.monitoring import processes
from transcodio_site.monitoring.shared_check import SharedCheck

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0  # a part that has not answered by then has failed
MAX_AGE_S = 1.0  # of a result that is used again
CHECK_FILE = "health/check"


@dataclass(frozen=True, slots=True)
class Result:
    """Whether a part works, how long the check took, and what is wrong or worth noting."""

    ok: bool
    milliseconds: float
    detail: str = ""


class PartFailed(Exception):
    """The part answers, but does not work. `str()` says what is wrong."""


class Part:
    """One part. `essential`: without it, the web process cannot serve its users."""

    def __init__(self, name: str, check: Callable[[], None], *, essential: bool) -> None:
        self.name, self.essential = name, essential
        self._check = SharedCheck(partial(_timed, name, check), MAX_AGE_S)

    def start(self) -> Callable[[], Result]:
        """Start the check. Return a function that waits for its result."""
        run = self._check.start()

        def result() -> Result:
            try:
                return run.result(TIMEOUT_S)
            except TimeoutError as error:
                return Result(False, round(run.age * 1000, 1), str(error))

        return result


def results(of: list[Part]) -> dict[str, Result]:
    """Check these parts at the same time, for at most TIMEOUT_S."""
    pending = {part.name: part.start() for part in of}
    return {name: result() for name, result in pending.items()}


def _timed(name: str, check: Callable[[], None]) -> Result:
    began_at, detail = time.monotonic(), ""
    try:
        check()
    except Exception as error:  # storages raise errors of any type
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        if isinstance(error, PartFailed):
            detail = str(error)
        log.warning("%s: %s", name, detail)
    return Result(not detail, round((time.monotonic() - began_at) * 1000, 1), detail)


# --- The checks ---------------------------------------------------------------------------------


def _query(statement: Any) -> list[tuple[Any, ...]]:
    parameters = connection.get_connection_params() | {"connect_timeout": int(TIMEOUT_S)}
    with closing(psycopg.connect(**parameters, autocommit=True)) as own:
        return own.execute(statement).fetchall()


def _check_postgres() -> None:
    _query("SELECT 1")


def _check_migrations() -> None:
    applied = {(app, name) for app, name in _query("SELECT app, name FROM django_migrations")}
    if missing := sorted(_migrations() - applied):
        app, name = missing[0]
        message = f"{len(missing)} not applied, such as {app} {name}: run manage.py migrate"
        raise PartFailed(message)


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """App and name of all migrations, from the names of the files: importing them takes memory."""
    folders = {app.label: Path(app.path) / "migrations" for app in apps.get_app_configs()}
    return frozenset(
        (label, module.name)
        for label, folder in folders.items()
        for module in pkgutil.iter_modules([str(folder)])
    )


def _check_valkey() -> None:
    with valkey.connect() as client:
        client.ping()


def _check_broker() -> None:
    with current_app.connection_for_write(connect_timeout=TIMEOUT_S) as broker:
        broker.default_channel  # noqa: B018 - opening it asks the broker


def _check_storage() -> None:
    name = default_storage.save(CHECK_FILE, ContentFile(b"ok"))
    default_storage.delete(name)


def _check_role(role: str) -> None:
    if not processes.running(role):
        process = "scheduler" if role == processes.BEAT else f"worker for the queue {role}"
        raise PartFailed(f"no {process} has reported for {processes.SILENT_AFTER_S} s")


def _check_restarts() -> None:
    failing = [p for p in processes.restarts() if p.times >= processes.MANY_RESTARTS]
    if failing:
        minutes = processes.RESTART_WINDOW_S // 60
        raise PartFailed(
            "; ".join(
                f"{process.name} was restarted {process.times} times in {minutes} minutes: "
                f"{process.line}"
                for process in failing
            )
        )


def queues() -> list[str]:
    """All queues that workers must consume."""
    routed = {route["queue"] for route in current_app.conf.task_routes.values()}
    return sorted({current_app.conf.task_default_queue, *routed})


@cache
def parts() -> list[Part]:
    """All parts; the queues are known as soon as Celery is configured."""
    return [
        Part("postgres", _check_postgres, essential=True),
        Part("migrations", _check_migrations, essential=True),
        Part("valkey", _check_valkey, essential=True),
        Part("broker", _check_broker, essential=True),
        Part("storage", _check_storage, essential=True),
        *(
            Part(f"worker_{queue}", partial(_check_role, queue), essential=False)
            for queue in queues()
        ),
        Part("beat", partial(_check_role, processes.BEAT), essential=False),
        Part("restarts", _check_restarts, essential=False),
    ]


def named(*names: str) -> list[Part]:
    """The parts of these names."""
    return [part for part in parts() if part.name in names]
