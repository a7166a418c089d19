"""The Celery application. Its settings have the prefix CELERY_ in `settings/queues.py`."""

from __future__ import annotations

import os
import sys
import time
import warnings
from typing import Any, Self

from celery import Celery, Task
from celery.app.amqp import AMQP
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]
from celery.signals import (
    beat_init,
    before_task_publish,
    import_modules,
    task_postrun,
    task_prerun,
    worker_init,
)
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from kombu import Connection
from structlog.contextvars import bind_contextvars, clear_contextvars

from transcodio_site import worker  # noqa: F401 - connects its signals
from transcodio_site.logs import current_request_id
from transcodio_site.monitoring import telemetry
from transcodio_site.redis_url import check_server_mode

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "transcodio_site.settings")
# Celery warns root about pickled messages. Our messages are JSON, and untrusted media is opened
# only in a guarded subprocess.
warnings.simplefilter("ignore", SecurityWarning)

RECONNECT_S = 2


class SteadyConnection(Connection):
    """A connection to the broker that is attempted at the same interval for as long as it fails.

    Celery waits two seconds longer after each failure, up to 30: after an outage of half a minute,
    recordings waited another ten seconds before a worker asked for tasks.
    """

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Self:
        """See `kombu.Connection`."""
        return super().ensure_connection(
            *args, **{"interval_start": RECONNECT_S, "interval_step": 0} | kwargs
        )


class Messaging(AMQP):
    """Celery's queues and producers, with our connections."""

    Connection = SteadyConnection


app = Celery("transcodio", amqp=Messaging)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    [
        "accounts",
        "transcriptions.notifications",
        "transcriptions.operations",
        "transcriptions.privacy",
        "transcriptions.processing",
        "transcriptions.webhooks",
    ]
)

# Names in messages that an earlier release enqueued. Accepted until 0.2.
FORMER_TASK_NAMES = {
    "transcriptions.tasks.sweep": "transcriptions.tasks.requeue_stalled",
    "transcriptions.tasks.mail_quota": "transcriptions.tasks.send_quota_notice",
    "transcriptions.tasks.forget_old_keys": "transcriptions.tasks.delete_expired_idempotency_keys",
    "transcriptions.tasks.forget_old_sessions": "transcriptions.tasks.delete_expired_sessions",
    "transcriptions.tasks.delete_what_was_kept_long_enough": (
        "transcriptions.tasks.delete_expired_recordings"
    ),
    "transcriptions.tasks.delete_strays": "transcriptions.tasks.delete_orphaned_files",
    "transcriptions.webhooks.tasks.ring_due": (
        "transcriptions.webhooks.tasks.enqueue_due_deliveries"
    ),
    "transcriptions.webhooks.tasks.forget_old_deliveries": (
        "transcriptions.webhooks.tasks.delete_old_deliveries"
    ),
    "transcriptions.webhooks.tasks.forget_old_secrets": (
        "transcriptions.webhooks.tasks.delete_expired_secrets"
    ),
}


@worker_init.connect
@beat_init.connect
def _refuse_unsupported_servers(**_: Any) -> None:
    try:
        check_server_mode(settings.REDIS_URL)
    except ImproperlyConfigured as error:
        sys.exit(f"Transcodio cannot start: {error}")


@import_modules.connect(sender=app, weak=False)
def _accept_former_names(**_: Any) -> None:
    for former, name in FORMER_TASK_NAMES.items():
        app.tasks[former] = app.tasks[name]


@before_task_publish.connect
def _add_headers(headers: dict[str, Any], **_: Any) -> None:
    """Pass on the request id and the trace, for the logs of the task and of tasks that it enqueues,
    and the time of sending, from which the age of the queue is computed."""
    headers["request_id"] = current_request_id()
    headers["sent_at"] = time.time()
    telemetry.inject(headers)


@task_prerun.connect
def _bind_task(task_id: str, task: Task[Any, Any], args: tuple[Any, ...], **_: Any) -> None:
    clear_contextvars()
    context = {"task": task.name, "task_id": task_id}
    if args:
        context["job_id"] = str(args[0])  # the first argument of our tasks is the id of their row
    if request_id := getattr(task.request, "request_id", ""):
        context["request_id"] = request_id
    bind_contextvars(**context)
    telemetry.begin_task(task.name, getattr(task.request, "traceparent", None) or "")


@task_postrun.connect
def _unbind_task(retval: object = None, **_: Any) -> None:
    telemetry.end_task(error=retval)  # the exception of a task that failed
    clear_contextvars()
