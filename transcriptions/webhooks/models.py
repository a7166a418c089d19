"""Endpoints and deliveries. The table of deliveries is the outbox and the log in one."""

from __future__ import annotations

import json
import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.fields.json import KT
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcriptions.webhooks.signatures import new_secret

MAX_SIGNATURES = 5  # in one request: the header grows with each


class EventType(models.TextChoices):
    """Events that an endpoint can subscribe to."""

    COMPLETED = "transcription.completed", _("Transcription completed")
    FAILED = "transcription.failed", _("Transcription failed")


TEST_EVENT = "webhook.test"  # sent from the settings page


def default_events() -> list[str]:
    """All events."""
    return [str(value) for value in EventType.values]


class Endpoint(models.Model):
    """A URL of a user that events are posted to."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhooks"
    )
    url = models.URLField(max_length=500)
    events = ArrayField(models.CharField(max_length=40), default=default_events)
    secret = models.CharField(max_length=80, default=new_secret)  # not hashed: it signs requests
    created_at = models.DateTimeField(default=timezone.now)
    disabled_at = models.DateTimeField(null=True, blank=True)
    # Since when no attempt has had a response; null after a response.
    silent_since = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.url

    def create_delivery(self, event: str, message: str, data: dict[str, Any]) -> Delivery:
        """Add a delivery that is due now. `message` is the `webhook-id`."""
        return self.deliveries.create(
            event=event,
            message=message,
            payload={"type": event, "timestamp": timezone.now(), "data": data},
        )

    @property
    def secrets(self) -> list[str]:
        """All secrets that sign now, newest first."""
        replaced = self.replaced_secrets.filter(until__gt=timezone.now())
        return [self.secret, *replaced.values_list("secret", flat=True)[: MAX_SIGNATURES - 1]]


class ReplacedSecret(models.Model):
    """A replaced secret that still signs. An endpoint can have several: an owner who lost the new
    secret rotates again, and the receiver still knows the first one."""

    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="replaced_secrets"
    )
    secret = models.CharField(max_length=80)
    until = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-until", "-id"]

    def __str__(self) -> str:
        return f"Replaced secret of {self.endpoint}"


class DeliveryState(models.TextChoices):
    """The state of a delivery."""

    PENDING = "pending", _("Pending")
    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Failed")


_RECORDING = KT("payload__data__id")  # an index has it


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Queries of deliveries."""

    def waiting(self) -> models.QuerySet[Delivery]:
        """Pending deliveries of enabled endpoints."""
        # No join: after waiting for a lock, PostgreSQL checks the locked row again, but the joined
        # row as it was before. And the endpoint of each delivery instead of a list of all: so it
        # reads the deliveries in order, and only as many as are requested.
        endpoint = Endpoint.objects.filter(id=OuterRef("endpoint")).values("disabled_at")
        pending = self.alias(disabled_at=Subquery(endpoint)).filter(state=DeliveryState.PENDING)
        return pending.filter(disabled_at=None)

    def due(self) -> models.QuerySet[Delivery]:
        """Deliveries whose next attempt is due. New deliveries come first, so that a receiver
        that is down delays others as little as possible."""
        due = self.waiting().filter(next_attempt_at__lte=timezone.now())
        return due.order_by("attempts", "next_attempt_at")

    def about(self, transcription_id: uuid.UUID) -> models.QuerySet[Delivery]:
        """Deliveries whose payload is about this recording."""
        return self.alias(recording=_RECORDING).filter(recording=str(transcription_id))


class Delivery(models.Model):
    """One message to one endpoint, with the result of its last attempt."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=40)
    message = models.CharField(max_length=64)  # `webhook-id`, the same in every attempt
    payload = models.JSONField(encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(default=timezone.now)

    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    last_attempt_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)  # HTTP status of the last response
    response = models.TextField(blank=True)  # the start of the response body, or the error

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = _("deliveries")
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["endpoint", "-created_at", "-id"], name="delivery_log"),
            models.Index(
                fields=["attempts", "next_attempt_at"],
                name="pending_by_attempts",
                condition=Q(state=DeliveryState.PENDING),
            ),
            models.Index(_RECORDING, name="deliveries_by_recording"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.endpoint}"

    @property
    def pretty_payload(self) -> str:
        """The payload as indented JSON."""
        return json.dumps(self.payload, ensure_ascii=False, indent=2)
