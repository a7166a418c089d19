"""Transitions of deliveries and endpoints: only this module changes their state.

pending -> delivered | failed, and back to pending if the owner has it sent again. Claiming a
pending delivery leases it for one attempt; if its worker dies, it is due again after the lease.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from django.db import transaction
from django.db.models import F
from django.shortcuts import get_object_or_404
from django.utils import timezone

from transcriptions.webhooks.models import TEST_EVENT, Delivery, DeliveryState, Endpoint
from transcriptions.webhooks.signatures import new_secret

RETRY_DELAYS_S = (5, 60, 300, 1800, 7200, 18_000, 57_600)  # between eight attempts in 24 hours
MAX_ATTEMPTS = len(RETRY_DELAYS_S) + 1
# An endpoint that has not responded for a minute gets one attempt every five minutes: attempts that
# time out take 15 seconds each, and all accounts share the few workers that make them.
SILENT_AFTER, SILENT_PAUSE = timedelta(minutes=1), timedelta(minutes=5)
ATTEMPT_LEASE = timedelta(minutes=1)  # longer than an attempt can take
SECRET_OVERLAP = timedelta(hours=24)  # how long a replaced secret still signs


def claim(delivery_id: uuid.UUID) -> Delivery | None:
    """Take a due delivery for one attempt. Return None if another worker has it, or it is
    finished or deleted."""
    due = Delivery.objects.due().filter(id=delivery_id)
    lease_end = timezone.now() + ATTEMPT_LEASE
    if not due.update(attempts=F("attempts") + 1, next_attempt_at=lease_end):
        return None
    return Delivery.objects.select_related("endpoint").filter(id=delivery_id).first()


def record_attempt(
    delivery: Delivery, status: int | None, response: str, jitter: float = 1.0
) -> None:
    """Record the result of an attempt and schedule the next one, `jitter` times the delay.

    2xx is success. A test is not retried: its sender watches the page and can send another.
    410 Gone disables the endpoint.
    """
    now = timezone.now()
    values: dict[str, Any] = {"last_attempt_at": now, "status": status, "response": response}
    if status is not None and 200 <= status < 300:
        values["state"] = DeliveryState.DELIVERED
    elif (
        delivery.attempts >= MAX_ATTEMPTS
        or status == HTTPStatus.GONE
        or delivery.event == TEST_EVENT
    ):
        values["state"] = DeliveryState.FAILED
    else:
        delay = timedelta(seconds=RETRY_DELAYS_S[delivery.attempts - 1] * jitter)
        values["next_attempt_at"] = now + delay
    Delivery.objects.filter(id=delivery.id, attempts=delivery.attempts).update(**values)
    if status == HTTPStatus.GONE:
        Endpoint.objects.filter(id=delivery.endpoint_id).update(disabled_at=now)
    _record_silence(delivery.endpoint_id, status, now)


def _record_silence(endpoint_id: int, status: int | None, now: datetime) -> None:
    """Let the deliveries of a silent endpoint wait, and send the new ones when it responds."""
    endpoint = Endpoint.objects.filter(id=endpoint_id)
    pending = Delivery.objects.filter(endpoint=endpoint_id, state=DeliveryState.PENDING)
    if status is not None:
        if endpoint.exclude(silent_since=None).update(silent_since=None):
            pending.filter(attempts=0, next_attempt_at__gt=now).update(next_attempt_at=now)
        return
    endpoint.filter(silent_since=None).update(silent_since=now)
    if endpoint.filter(silent_since__lte=now - SILENT_AFTER).exists():
        until = now + SILENT_PAUSE
        pending.filter(next_attempt_at__lt=until).update(next_attempt_at=until)


def requeue(delivery: Delivery) -> bool:
    """Start again with the first attempt, with the same message id. Return False and change
    nothing while it is pending."""
    finished = Delivery.objects.filter(id=delivery.id).exclude(state=DeliveryState.PENDING)
    return bool(
        finished.update(state=DeliveryState.PENDING, attempts=0, next_attempt_at=timezone.now())
    )


def enable(endpoint: Endpoint) -> None:
    """Enable an endpoint that was disabled by a response 410 Gone."""
    Endpoint.objects.filter(id=endpoint.id).update(disabled_at=None)


def rotate_secret(endpoint: Endpoint) -> None:
    """Set a new secret. The old one still signs for SECRET_OVERLAP. Raises Http404 if the endpoint
    was deleted meanwhile."""
    with transaction.atomic():
        # Locked: of two simultaneous rotations, the second replaces the secret of the first.
        current = get_object_or_404(Endpoint.objects.select_for_update(), id=endpoint.id)
        current.replaced_secrets.create(
            secret=current.secret, until=timezone.now() + SECRET_OVERLAP
        )
        endpoint.secret = new_secret()
        endpoint.save(update_fields=["secret"])
