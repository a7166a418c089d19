"""Celery: its queues, its workers, and its periodic tasks."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

from transcodio_site.settings.env import env
from transcodio_site.settings.services import REDIS_URL

BROKER_URL = env.str("BROKER_URL", default="") or REDIS_URL
# Kombu and redis-py use different URL schemes for Unix sockets.
CELERY_BROKER_URL = BROKER_URL.replace("unix://", "redis+socket://").replace(
    "?db=", "?virtual_host="
)
# What the broker loses is enqueued again from the database. So nothing waits for an unreachable
# broker, and a worker prefetches no messages for which it has no free thread.
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"max_retries": 1, "interval_start": 0}
if BROKER_URL.startswith("amqp"):
    # RabbitMQ stops reading when its memory or disk is full: a request must not wait for that.
    CELERY_BROKER_TRANSPORT_OPTIONS |= {
        "connect_timeout": 5,
        "read_timeout": 10,
        "write_timeout": 10,
    }
else:
    CELERY_BROKER_TRANSPORT_OPTIONS |= {"socket_timeout": 10}
    # When Valkey crashes, Kombu cannot return prefetched messages, and the worker exits. Celery has
    # this setting only for Valkey. RabbitMQ returns them itself: there, each thread may have one.
    CELERY_WORKER_DISABLE_PREFETCH = True
# By default Kombu does not check certificates.
if BROKER_URL.startswith("amqps://"):
    CELERY_BROKER_USE_SSL = {
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": urlsplit(BROKER_URL).hostname,
    }
elif BROKER_URL.startswith("rediss://"):
    CELERY_BROKER_USE_SSL = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=8)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False  # without a mail server, emails are printed there
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_ROUTES = {
    "transcriptions.tasks.preprocess": {"queue": "preprocess"},
    "transcriptions.tasks.transcribe": {"queue": "transcribe"},
    "transcriptions.tasks.listen": {"queue": "live"},
    "transcriptions.tasks.diarize": {"queue": "preprocess"},  # of complete recordings, on the CPU
}
# A message that has not been received when the next one is sent is dropped, so that there is no
# backlog.
CELERY_BEAT_SCHEDULE = {
    task.rsplit(".", 1)[1]: {"task": task, "schedule": seconds, "options": {"expires": seconds}}
    for task, seconds in (
        ("transcriptions.tasks.requeue_stalled", 3.0),
        ("transcriptions.webhooks.tasks.enqueue_due_deliveries", 15.0),
        ("transcriptions.webhooks.tasks.delete_expired_secrets", 3600.0),
        ("transcriptions.webhooks.tasks.delete_old_deliveries", 24 * 3600.0),
        ("transcriptions.tasks.delete_expired_recordings", 3600.0),
        ("transcriptions.tasks.delete_expired_idempotency_keys", 3600.0),
        ("transcriptions.tasks.delete_expired_sessions", 24 * 3600.0),
        ("transcriptions.tasks.delete_expired_audit_events", 24 * 3600.0),
        ("transcriptions.tasks.delete_old_invitations", 24 * 3600.0),
        ("accounts.tasks.send_due_emails", 15.0),
        ("transcriptions.tasks.resume_account_deletions", 15.0),
        ("transcriptions.tasks.delete_orphaned_files", 24 * 3600.0),
        ("transcriptions.tasks.abort_expired_uploads", 900.0),
        ("transcriptions.tasks.learn_waiting_voices", 60.0),
        ("transcriptions.tasks.compare_waiting_voices", 60.0),
    )
}
CELERY_BEAT_SCHEDULER = "transcodio_site.scheduler:MemoryScheduler"
