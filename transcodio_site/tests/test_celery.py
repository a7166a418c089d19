"""The Celery application."""

from __future__ import annotations

import pytest
from django.conf import settings
from kombu.exceptions import OperationalError

from transcodio_site import celery
from transcodio_site.celery import FORMER_TASK_NAMES, app


@pytest.fixture(autouse=True)
def loaded() -> None:
    """Load all task modules, as a worker does at startup."""
    app.loader.import_default_modules()


@pytest.mark.parametrize(("former", "name"), FORMER_TASK_NAMES.items())
def test_former_task_name_runs_the_renamed_task(former: str, name: str) -> None:
    assert app.tasks[former] is app.tasks[name]
    assert app.tasks[name].name == name


def test_beat_schedule_and_routes_use_registered_tasks() -> None:
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert scheduled | set(settings.CELERY_TASK_ROUTES) <= set(app.tasks)
    assert len(scheduled) == len(settings.CELERY_BEAT_SCHEDULE)  # none twice


@pytest.mark.covers("fault", "A worker connects again after an outage of Valkey")
def test_worker_tries_to_connect_at_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery, "RECONNECT_S", 0)
    intervals: list[float] = []
    connection = app.connection("redis+socket:///nonexistent/valkey.sock")
    with pytest.raises(OperationalError):
        connection.ensure_connection(lambda _, interval: intervals.append(interval), 5)
    assert intervals == [0] * 5
