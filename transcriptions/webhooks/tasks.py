"""Celery's shells around the outbox."""

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

KEPT_DAYS = 30
BELLS = 20  # of one round: more would only pile up in a queue whose workers are busy
PLACES = threading.BoundedSemaphore(max(1, settings.CELERY_WORKER_CONCURRENCY // 4))


@shared_task
def deliver(id: str) -> None:
    """One attempt; then it rings for the next delivery that is due.

    Receivers can be slow, and recordings wait for the same threads: a few of those at the most are
    here, and after each attempt recordings have their turn. Who finds no place leaves the delivery
    to who has one, or to the next round of `enqueue_due_deliveries`.
    """
    if not PLACES.acquire(blocking=False):
        return
    try:
        attempt(uuid.UUID(id))
    finally:
        PLACES.release()
    if due := Delivery.objects.due().first():
        queue.enqueue(deliver, due.id)


@shared_task
def enqueue_due_deliveries() -> None:
    """Rings for deliveries whose time has come; each of them rings for the next."""
    for id in Delivery.objects.due().values_list("id", flat=True)[:BELLS]:
        queue.enqueue(deliver, id)


@shared_task
def delete_old_deliveries() -> None:
    """The log goes back a month, but for what is still to be sent."""
    before = timezone.now() - timedelta(days=KEPT_DAYS)
    waiting = Delivery.objects.waiting().values("id")
    Delivery.objects.filter(created_at__lt=before).exclude(id__in=waiting).delete()


@shared_task
def delete_expired_secrets() -> None:
    """Those that sign no more."""
    ReplacedSecret.objects.filter(until__lte=timezone.now()).delete()
