"""The scheduler of periodic tasks, for Celery beat."""

from __future__ import annotations

import logging
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import redis
from celery.beat import ScheduleEntry, Scheduler
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import LockError
from redis.lock import Lock
from redis.retry import Retry

from transcodio_site.monitoring import processes
from transcodio_site.worker import report_start

log = logging.getLogger(__name__)

NAME = f"beat@{socket.gethostname()}"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
LOCK_NAME = "transcodio:beat"
LOCK_S = 5.0  # after which another scheduler takes over from one that has died
RENEWAL_S = 1.0
VALKEY_TIMEOUT_S = 2.0


class MemoryScheduler(Scheduler):
    """Keeps the schedule in memory, so there is no file that could be damaged.

    All tasks run at the start, and then at their intervals. They can run at any time, and a service
    that is restarted every few hours must run the daily ones too. Of several schedulers, one holds
    a lock in Valkey and sends the tasks; the others stand by.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._lock: Lock = _lock()
        self._is_leader: bool | None = None
        self._is_reported = False
        self._reported_at = float("-inf")  # on the monotonic clock
        super().__init__(*args, **options)

    def setup_schedule(self) -> None:
        """Read the schedule from the settings."""
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at = LONG_AGO

    def is_due(self, entry: ScheduleEntry) -> Any:
        """Whether a task is due, and in how many seconds to check again."""
        if (entry.last_run_at or LONG_AGO) > entry.default_now():  # the clock was set back
            entry.last_run_at = LONG_AGO
        return super().is_due(entry)

    def tick(self, *args: Any, **options: Any) -> float:
        """Send the task that is due. Return the seconds until the next call."""
        if not self._is_reported:
            self._is_reported = True
            report_start(NAME)
        if not self._lead():
            return RENEWAL_S
        self._report_running()
        return float(min(super().tick(*args, **options), RENEWAL_S))

    def _report_running(self) -> None:
        if time.monotonic() - self._reported_at > processes.REPORT_INTERVAL_S:
            self._reported_at = time.monotonic()
            with suppress(redis.RedisError):
                processes.report_running(NAME, [processes.BEAT])

    def close(self) -> None:
        """Let another scheduler take over."""
        super().close()
        try:
            self._lock.release()
        except (LockError, redis.RedisError, OSError):
            return  # it is not ours, or it expires soon

    def _lead(self) -> bool:
        """Whether this scheduler sends the tasks. It does if Valkey is unavailable, even if others
        do: tasks can run twice, but they must run."""
        try:
            leads = self._renew() or bool(self._lock.acquire(blocking=False))
        except (redis.RedisError, OSError) as error:
            log.warning("the lock of the scheduler is not renewed: %s", error)
            return True
        if leads is not self._is_leader:
            log.info("This scheduler %s.", "sends the tasks" if leads else "stands by")
        self._is_leader = leads
        return leads

    def _renew(self) -> bool:
        try:
            return bool(self._lock.reacquire())
        except LockError:  # never acquired, or expired
            return False


def _lock() -> Lock:
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=VALKEY_TIMEOUT_S,
        socket_connect_timeout=VALKEY_TIMEOUT_S,
        retry=Retry(NoBackoff(), retries=0),
    )
    lock: Lock = client.lock(LOCK_NAME, timeout=LOCK_S, thread_local=False)
    return lock
