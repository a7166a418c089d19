"""Enqueueing of Celery tasks. The database is the source of truth: lost tasks are requeued."""

from __future__ import annotations

import logging
from typing import Any

from celery import Signature, Task, current_app
from kombu.exceptions import OperationalError
from structlog.contextvars import get_contextvars

log = logging.getLogger(__name__)


def enqueue(task: Task[Any, None] | Signature[Any], *arguments: object) -> bool:
    """Enqueue `task`. Return False if the broker is unreachable: then a periodic task does it
    later."""
    try:
        task.apply_async(tuple(str(argument) for argument in arguments), retry=False)
    except OperationalError as error:
        log.warning("%s%s: the broker is unreachable: %s", task.name, arguments, error)
        return False
    return True


def current_request_id() -> str:
    """The id of the current request, or of the one that led to the current task; empty if there is
    none."""
    return str(get_contextvars().get("request_id", ""))


def pending(name: str) -> int:
    """How many messages wait in a queue of the broker. 0 if the broker is unreachable, or if the
    queue was never used."""
    with current_app.connection_or_acquire() as connection:
        try:
            queue = connection.default_channel.queue_declare(queue=name, passive=True)
        except connection.channel_errors:
            return 0
        except (OperationalError, *connection.connection_errors) as error:
            log.warning("%s: the broker is unreachable: %s", name, error)
            return 0
        return int(queue.message_count)
