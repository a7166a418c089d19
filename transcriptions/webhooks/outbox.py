"""Creation of deliveries: in the transaction of the event, enqueued after its commit."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404

from transcriptions import queue
from transcriptions.models import State, Transcription
from transcriptions.schemas.transcripts import TranscriptionOut
from transcriptions.webhooks import lifecycle, tasks
from transcriptions.webhooks.models import TEST_EVENT, Delivery, DeliveryState, Endpoint, EventType


def enqueue_deliveries(sender: type[Transcription], row: Transcription, **_: Any) -> None:
    """Receiver of `transcription_finished`: creates a delivery for each endpoint of the owner that
    subscribes to the event."""
    event = EventType.COMPLETED if row.state == State.COMPLETED else EventType.FAILED
    subscribed = Endpoint.objects.filter(
        owner_id=row.owner_id, events__contains=[event], disabled_at=None
    )
    message = _new_message_id()
    data = TranscriptionOut.of(row).model_dump(mode="json")
    for endpoint in subscribed:
        _enqueue_after_commit(endpoint.create_delivery(event, message, data))


def delete_deliveries(sender: type[Transcription], instance: Transcription, **_: Any) -> None:
    """Receiver of `post_delete` of a recording: deletes its deliveries, which contain its title."""
    Delivery.objects.about(instance.id).delete()


def send_test(endpoint: Endpoint) -> None:
    """Send a test event, unless one is pending. Raises Http404 if the endpoint was deleted
    meanwhile."""
    with transaction.atomic():
        # Locked: of two simultaneous clicks, the second finds the delivery of the first.
        get_object_or_404(Endpoint.objects.select_for_update(), id=endpoint.id)
        if not endpoint.deliveries.filter(event=TEST_EVENT, state=DeliveryState.PENDING).exists():
            data = {"hello": "from Transcodio"}
            _enqueue_after_commit(endpoint.create_delivery(TEST_EVENT, _new_message_id(), data))


def replay(delivery: Delivery) -> None:
    """Send a finished delivery again. Receivers recognize it by its message id."""
    if lifecycle.requeue(delivery):
        _enqueue_after_commit(delivery)


def _enqueue_after_commit(delivery: Delivery) -> None:
    transaction.on_commit(lambda: queue.enqueue(tasks.deliver, delivery.id))


def _new_message_id() -> str:
    return f"msg_{uuid.uuid4().hex}"
