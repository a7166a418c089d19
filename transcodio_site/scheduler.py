"""The scheduler of periodic tasks, for Celery beat."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from celery.beat import ScheduleEntry, Scheduler

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class MemoryScheduler(Scheduler):
    """Keeps the schedule in memory: there is no file that could be damaged.

    All tasks run at the start, and then at their intervals. They can run at any time, and a service
    that is restarted every few hours must run the daily ones too.
    """

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
