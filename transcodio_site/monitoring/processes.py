"""What the processes of an installation report in Valkey: that they run, and that they stopped.

A process reports that it runs for each of its roles: the queues that a worker consumes, or "beat".
The clock is that of Valkey, because those of the machines may differ.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

import redis

from transcodio_site import valkey
from transcodio_site.logs import redact

log = logging.getLogger(__name__)

BEAT = "beat"
REPORT_INTERVAL_S = 5.0
SILENT_AFTER_S = 30  # without a report, a process is assumed not to run
FORGOTTEN_AFTER_S = 3600
RESTART_WINDOW_S, MANY_RESTARTS = 300, 3
MAX_STOPS = 100  # that are kept
MAX_LINE_CHARS = 300
STOPS = "transcodio:stops"


@dataclass(slots=True)
class Restarts:
    """How often a process has stopped within RESTART_WINDOW_S, and the last line it printed."""

    name: str
    line: str
    times: int = field(default=0)


def report_running(name: str, roles: Iterable[str]) -> None:
    """Report that the process `name` runs. Raises redis.RedisError."""
    with valkey.connect() as client:
        now = _now(client)
        for role in roles:
            client.zadd(_key(role), {name: now})
            client.zremrangebyscore(_key(role), 0, now - FORGOTTEN_AFTER_S)
            client.expire(_key(role), FORGOTTEN_AFTER_S)


def report_exit(name: str, roles: Iterable[str]) -> None:
    """Report that the process `name` shuts down. Raises redis.RedisError."""
    with valkey.connect() as client:
        for role in roles:
            client.zrem(_key(role), name)


def report_stop(name: str, line: str) -> None:
    """Report that a process has stopped unexpectedly, or has been restarted. `line` is the
    cause. Without Valkey nothing is reported."""
    try:
        with valkey.connect() as client:
            stop = {"at": _now(client), "name": name, "line": redact(line)[:MAX_LINE_CHARS]}
            client.lpush(STOPS, json.dumps(stop))
            client.ltrim(STOPS, 0, MAX_STOPS - 1)
            client.expire(STOPS, FORGOTTEN_AFTER_S)
    except redis.RedisError as error:
        log.warning("the end of %s could not be reported: %s", name, error)


def running(role: str) -> int:
    """The number of processes that have reported this role recently. Raises redis.RedisError."""
    with valkey.connect() as client:
        return int(client.zcount(_key(role), _now(client) - SILENT_AFTER_S, "+inf"))


def restarts() -> list[Restarts]:
    """The processes that have stopped recently. Raises redis.RedisError."""
    with valkey.connect() as client:
        since = _now(client) - RESTART_WINDOW_S
        stops = [json.loads(stop) for stop in client.lrange(STOPS, 0, -1)]
    recent = [stop for stop in stops if stop["at"] > since]
    found = dict[str, Restarts]()
    for stop in recent:  # the latest first
        found.setdefault(stop["name"], Restarts(stop["name"], stop["line"])).times += 1
    return list(found.values())


def _key(role: str) -> str:
    return f"transcodio:running:{role}"


def _now(client: redis.Redis) -> int:
    return int(client.time()[0])
