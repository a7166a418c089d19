"""Where to post, and what was or is to be posted: the outbox, and at the same time its log."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.db.models import F
from django.utils import timezone

from transcriptions.webhooks.signatures import new_secret

# Seconds between attempts: eight of them, over a day.
DELAYS = (5, 60, 300, 1800, 7200, 18_000, 57_600)
ATTEMPT_TAKES = timedelta(minutes=1)  # at the most; then it may be made again
OVERLAP = timedelta(hours=24)  # that a secret signs on for after it was replaced
SIGNATURES = 5  # of one message, at the most


class EventType(models.TextChoices):
    """What can be announced."""

    COMPLETED = "transcription.completed", "A transcript is complete"
    FAILED = "transcription.failed", "A transcription has failed"


TEST = "webhook.test"  # sent by hand from the settings page


def default_events() -> list[str]:
    """All of them."""
    return [str(value) for value in EventType.values]


class Endpoint(models.Model):
    """A server of a user's that wants to know."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhooks"
    )
    url = models.URLField(max_length=500)
    events = ArrayField(models.CharField(max_length=40), default=default_events)
    secret = models.CharField(max_length=80, default=new_secret)  # signs: it must be readable
    created_at = models.DateTimeField(default=timezone.now)
    disabled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.url

    def send(self, event: str, message: str, data: dict[str, Any]) -> Delivery:
        """Puts a message into the outbox."""
        return self.deliveries.create(
            event=event,
            message=message,
            payload={"type": event, "timestamp": timezone.now(), "data": data},
        )

    def enable(self) -> None:
        """After it was switched off."""
        type(self).objects.filter(id=self.id).update(disabled_at=None)

    @property
    def secrets(self) -> list[str]:
        """All that sign just now, the newest first."""
        replaced = self.replaced.filter(until__gt=timezone.now())
        return [self.secret, *replaced.values_list("secret", flat=True)[: SIGNATURES - 1]]

    def rotate(self) -> None:
        """Gives it a new secret. Receivers that know the one before have a day to learn it."""
        with transaction.atomic():
            # Locked: of two that are asked for at once, the second replaces the first.
            current = type(self).objects.select_for_update().get(id=self.id)
            self.replaced.create(secret=current.secret, until=timezone.now() + OVERLAP)
            self.secret = new_secret()
            self.save(update_fields=["secret"])


class ReplacedSecret(models.Model):
    """A secret that signs beside its successor. There may be several: who has lost the new one asks
    for another, and the receiver still knows the first."""

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="replaced")
    secret = models.CharField(max_length=80)
    until = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-until", "-id"]

    def __str__(self) -> str:
        return f"Replaced at {self.endpoint}"


class DeliveryState(models.TextChoices):
    """Where a delivery stands."""

    PENDING = "pending", "Waiting"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Questions about deliveries."""

    def waiting(self) -> models.QuerySet[Delivery]:
        """Those that are still to be sent: to endpoints that want them."""
        # No join: who claims one must be asked again when somebody else was quicker.
        wanting = Endpoint.objects.filter(disabled_at=None).values("id")
        return self.filter(state=DeliveryState.PENDING, endpoint_id__in=wanting)

    def due(self) -> models.QuerySet[Delivery]:
        """Those whose time has come. Those that were never tried go first: a receiver that is away
        delays others as little as can be."""
        ours = self.waiting().filter(next_attempt_at__lte=timezone.now())
        return ours.order_by("attempts", "next_attempt_at")

    def claim(self, id: uuid.UUID) -> Delivery | None:
        """Takes it for one attempt, or None if it is not due: somebody else is at it, or it is
        over, or gone."""
        took = (
            self.due()
            .filter(id=id)
            .update(attempts=F("attempts") + 1, next_attempt_at=timezone.now() + ATTEMPT_TAKES)
        )
        return self.select_related("endpoint").filter(id=id).first() if took else None


class Delivery(models.Model):
    """One message to one endpoint, until it has arrived or was given up."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=40)
    message = models.CharField(max_length=64)  # `webhook-id`: the same however often it is sent
    payload = models.JSONField(encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(default=timezone.now)

    state = models.CharField(
        max_length=10, choices=DeliveryState, default=DeliveryState.PENDING, db_index=True
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    last_attempt_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)  # of the last answer
    answer = models.TextField(blank=True)  # its first characters, or why there was none

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["endpoint", "-created_at", "-id"], name="delivery_log")
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.endpoint}"

    @property
    def pretty(self) -> str:
        """The message, to be read by people."""
        return json.dumps(self.payload, ensure_ascii=False, indent=2)

    def attempted(self, status: int | None, answer: str, jitter: float = 1.0) -> None:
        """Notes how an attempt went, and when the next one is due. 2xx is success; a test is not
        tried again: whoever sent it looks on, and sends another."""
        arrived = status is not None and 200 <= status < 300
        now = timezone.now()
        values: dict[str, Any] = {"last_attempt_at": now, "status": status, "answer": answer}
        if arrived:
            values["state"] = DeliveryState.DELIVERED
        elif self.attempts > len(DELAYS) or status == 410 or self.event == TEST:
            values["state"] = DeliveryState.FAILED
        else:
            values["next_attempt_at"] = self._next(now, jitter)
        type(self).objects.filter(id=self.id, attempts=self.attempts).update(**values)
        if status == 410:  # "gone": the receiver wants no more
            Endpoint.objects.filter(id=self.endpoint_id).update(disabled_at=now)

    def _next(self, now: datetime, jitter: float) -> datetime:
        return now + timedelta(seconds=DELAYS[self.attempts - 1] * jitter)

    def again(self) -> bool:
        """Sends it once more from the beginning, with the same message id. Not while it is on its
        way: whether it was over."""
        over = type(self).objects.filter(id=self.id).exclude(state=DeliveryState.PENDING)
        return bool(
            over.update(state=DeliveryState.PENDING, attempts=0, next_attempt_at=timezone.now())
        )
