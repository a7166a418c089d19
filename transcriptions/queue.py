"""Enqueueing of Celery tasks. The database is the source of truth: lost tasks are requeued."""

from __future__ import annotations

import logging
from typing import Any

from celery import Task
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


def enqueue(task: Task[Any, None], *arguments: object) -> None:
    """Enqueue `task`. If the broker is unreachable, `requeue_stalled` does it later."""
    try:
        task.apply_async(tuple(str(argument) for argument in arguments), retry=False)
    except OperationalError as error:
        log.warning("%s%s: the broker is unreachable: %s", task.name, arguments, error)
