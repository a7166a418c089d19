"""Celery tasks of webhooks."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from transcriptions import queue
from transcriptions.webhooks.delivery import attempt
from transcriptions.webhooks.models import Delivery, ReplacedSecret

DELIVERY_LOG_DAYS = 30
MAX_ENQUEUED = 20  # per run of the periodic task: more would only wait in the queue
# A quarter of the worker's threads: slow receivers must not delay recordings.
delivery_slots = threading.BoundedSemaphore(max(1, settings.CELERY_WORKER_CONCURRENCY // 4))


@shared_task
def deliver(delivery_id: str) -> None:
    """Make one attempt, then enqueue the delivery that is due next.

    Without a free slot it does nothing: a task that has one, or the next run of
    `enqueue_due_deliveries`, takes the delivery. One attempt per task lets recordings that wait in
    the same queue go first.
    """
    if not delivery_slots.acquire(blocking=False):
        return
    try:
        attempt(uuid.UUID(delivery_id))
    finally:
        delivery_slots.release()
    if due := Delivery.objects.due().first():
        queue.enqueue(deliver, due.id)


@shared_task
def enqueue_due_deliveries() -> None:
    """Enqueue deliveries that are due; each of them enqueues the next one."""
    due = Delivery.objects.due().values_list("id", flat=True)
    for delivery_id in due[:MAX_ENQUEUED]:
        queue.enqueue(deliver, delivery_id)


@shared_task
def delete_old_deliveries() -> None:
    """Delete deliveries older than DELIVERY_LOG_DAYS, except those that are still to be sent."""
    before = timezone.now() - timedelta(days=DELIVERY_LOG_DAYS)
    waiting = Delivery.objects.waiting().values("id")
    Delivery.objects.filter(created_at__lt=before).exclude(id__in=waiting).delete()


@shared_task
def delete_expired_secrets() -> None:
    """Delete replaced secrets that no longer sign."""
    ReplacedSecret.objects.filter(until__lte=timezone.now()).delete()
