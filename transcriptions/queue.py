"""Enqueueing of Celery tasks. The database is the source of truth: lost tasks are requeued."""

from __future__ import annotations

import logging
from typing import Any

from celery import Signature, Task
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


def enqueue(task: Task[Any, None] | Signature[Any], *arguments: object) -> bool:
    """Enqueue `task`. False if the broker is unreachable: then a periodic task does it later."""
    try:
        task.apply_async(tuple(str(argument) for argument in arguments), retry=False)
    except OperationalError as error:
        log.warning("%s%s: the broker is unreachable: %s", task.name, arguments, error)
        return False
    return True
