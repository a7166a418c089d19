"""Celery's shells around the outbox."""

from __future__ import annotations

import uuid
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from transcriptions.tasks import ring
from transcriptions.webhooks.attempts import attempt
from transcriptions.webhooks.models import Delivery, DeliveryState

KEPT_DAYS = 30


@shared_task
def deliver(id: str) -> None:
    """One attempt."""
    attempt(uuid.UUID(id))


@shared_task
def ring_due() -> None:
    """Rings for every delivery whose time has come."""
    for id in Delivery.objects.due().values_list("id", flat=True)[:1000]:
        ring(deliver, id)


@shared_task
def forget_old_deliveries() -> None:
    """The log goes back a month."""
    before = timezone.now() - timedelta(days=KEPT_DAYS)
    Delivery.objects.filter(created_at__lt=before).exclude(state=DeliveryState.PENDING).delete()
