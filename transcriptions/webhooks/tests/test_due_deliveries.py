"""The cost of choosing the next delivery."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from transcriptions.testing import scans
from transcriptions.webhooks.models import Delivery, Endpoint
from transcriptions.webhooks.tasks import MAX_ENQUEUED

pytestmark = pytest.mark.django_db


@pytest.mark.covers("fault", "A receiver of webhooks is down, and thousands of deliveries wait")
@pytest.mark.parametrize("disabled", [0, 300])
def test_choosing_deliveries_reads_a_few_of_many_pending_ones(alice: User, disabled: int) -> None:
    endpoint = Endpoint.objects.create(owner=alice, url="https://example.com/hooks")
    now = timezone.now()
    Endpoint.objects.bulk_create(
        Endpoint(owner=alice, url=endpoint.url, disabled_at=now) for _ in range(disabled)
    )
    Delivery.objects.bulk_create(
        Delivery(
            endpoint=endpoint,
            event="transcription.completed",
            message="msg_1",
            payload={},
            attempts=1 + number % 7,
            next_attempt_at=now - timedelta(seconds=number),
        )
        for number in range(5000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE webhooks_delivery, webhooks_endpoint")
    with CaptureQueriesContext(connection) as queries:
        assert len(Delivery.objects.due()[:MAX_ENQUEUED]) == MAX_ENQUEUED
    found = list(scans(queries[0]["sql"]))
    assert "pending_by_attempts" in {scan.index for scan in found}
    assert not [scan for scan in found if scan.rows > MAX_ENQUEUED]
