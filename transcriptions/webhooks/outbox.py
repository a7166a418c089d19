"""From the end of a recording to its owner's servers: written with the end, posted after it."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction

from transcriptions import queue
from transcriptions.models import State, Transcription
from transcriptions.schemas.transcripts import TranscriptionOut
from transcriptions.webhooks import tasks
from transcriptions.webhooks.models import TEST, Delivery, DeliveryState, Endpoint, EventType


def enqueue_deliveries(sender: type[Transcription], row: Transcription, **_: Any) -> None:
    """Writes to all of the owner's endpoints that want to know. Called in the transaction that
    ends the recording."""
    event = EventType.COMPLETED if row.state == State.COMPLETED else EventType.FAILED
    wanting = Endpoint.objects.filter(
        owner_id=row.owner_id, events__contains=[event], disabled_at=None
    )
    message = _new_message()
    data = TranscriptionOut.of(row).model_dump(mode="json")
    for endpoint in wanting:
        _bell(endpoint.send(event, message, data))


def send_test(endpoint: Endpoint) -> None:
    """A message that means nothing, to see whether it arrives; one at a time."""
    with transaction.atomic():
        # Locked: of two clicks at once, the second one finds what the first one has sent.
        Endpoint.objects.select_for_update().filter(id=endpoint.id).first()
        if not endpoint.deliveries.filter(event=TEST, state=DeliveryState.PENDING).exists():
            _bell(endpoint.send(TEST, _new_message(), {"hello": "from Transcodio"}))


def replay(delivery: Delivery) -> None:
    """Sends it once more, by the same message id: receivers know it again."""
    if delivery.again():
        _bell(delivery)


def _bell(delivery: Delivery) -> None:
    transaction.on_commit(lambda: queue.enqueue(tasks.deliver, delivery.id))


def _new_message() -> str:
    return f"msg_{uuid.uuid4().hex}"
