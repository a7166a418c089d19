"""One attempt of a delivery."""

from __future__ import annotations

import json
import logging
import random
import time
import uuid

from django.utils.translation import gettext as _

from transcriptions import metrics
from transcriptions.webhooks import lifecycle, transport
from transcriptions.webhooks.models import Delivery
from transcriptions.webhooks.signatures import signature

log = logging.getLogger(__name__)


def attempt(delivery_id: uuid.UUID) -> None:
    """Send the delivery once and record the result. Do nothing if it is not due."""
    delivery = lifecycle.claim(delivery_id)
    if delivery is None:
        return
    if delivery.attempts > lifecycle.MAX_ATTEMPTS:  # killed their workers
        status, response = None, _("The delivery could not be sent.")
    else:
        status, response = _post(delivery)
    result = "unreachable" if status is None else "ok" if 200 <= status < 300 else "refused"
    metrics.webhook_attempts.labels(result).inc()
    lifecycle.record_attempt(delivery, status, response, jitter=random.uniform(0.9, 1.1))  # noqa: S311


def _post(delivery: Delivery) -> tuple[int | None, str]:
    try:
        return transport.post(delivery.endpoint.url, *_signed_request(delivery))
    except Exception:  # a bug must count as an attempt, or retries would never end
        log.exception("%s: the delivery could not be sent", delivery.id)
        return None, _("The delivery could not be sent.")


def _signed_request(delivery: Delivery) -> tuple[dict[str, str], bytes]:
    """Headers and body. Each attempt has its own timestamp and signature."""
    body = json.dumps(delivery.payload, ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = int(time.time())
    signatures = (
        signature(secret, delivery.message, timestamp, body) for secret in delivery.endpoint.secrets
    )
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Transcodio-Webhooks",
        "webhook-id": delivery.message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
    return headers, body
