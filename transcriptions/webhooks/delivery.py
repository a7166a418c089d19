"""One attempt to deliver a message."""

from __future__ import annotations

import json
import logging
import random
import time
import uuid

from transcriptions.webhooks import transport
from transcriptions.webhooks.models import Delivery
from transcriptions.webhooks.signatures import signature

log = logging.getLogger(__name__)


def attempt(id: uuid.UUID) -> None:
    """Posts it once, if it is due."""
    delivery = Delivery.objects.claim(id)
    if delivery is None:
        return
    status, answer = _posted(delivery)
    delivery.attempted(status, answer, jitter=random.uniform(0.9, 1.1))  # noqa: S311


def _posted(delivery: Delivery) -> tuple[int | None, str]:
    try:
        return transport.post(delivery.endpoint.url, *_signed(delivery))
    except Exception as error:  # a fault of ours: it is an attempt all the same, and has an end
        log.exception("%s could not be sent", delivery.id)
        return None, f"It could not be sent: {error!r}"


def _signed(delivery: Delivery) -> tuple[dict[str, str], bytes]:
    """Headers and body: each attempt is signed for its own moment."""
    body = json.dumps(delivery.payload, ensure_ascii=False, separators=(",", ":")).encode()
    now = int(time.time())
    secrets = delivery.endpoint.secrets
    signatures = (signature(secret, delivery.message, now, body) for secret in secrets)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Transcodio-Webhooks",
        "webhook-id": delivery.message,
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join(signatures),
    }
    return headers, body
