"""The cost of choosing the next delivery."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from transcriptions.testing import scans
from transcriptions.webhooks.lifecycle import (
    RETRY_DELAYS_S,
    SILENT_AFTER,
    SILENT_PAUSE,
    claim,
    record_attempt,
)
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


def fail(delivery: Delivery) -> None:
    """An attempt without a response."""
    claimed = claim(delivery.id)
    assert claimed
    record_attempt(claimed, None, "Timeout")


@pytest.fixture
def waiting(alice: User) -> list[Delivery]:
    """Three deliveries to one endpoint."""
    endpoint = Endpoint.objects.create(owner=alice, url="https://example.com/hooks")
    return [endpoint.create_delivery("transcription.completed", f"msg_{n}", {}) for n in range(3)]


def silent_for_long(delivery: Delivery) -> None:
    since = timezone.now() - SILENT_AFTER
    assert Endpoint.objects.filter(id=delivery.endpoint_id).update(silent_since=since)


@pytest.mark.covers("fault", "A receiver of webhooks does not respond, and others wait behind it")
def test_silent_endpoint_gets_one_attempt_at_a_time(waiting: list[Delivery]) -> None:
    first, *others = waiting
    fail(first)
    assert {delivery.id for delivery in Delivery.objects.due()} == {each.id for each in others}
    silent_for_long(first)
    fail(others[0])
    assert not Delivery.objects.due().exists()
    times = Delivery.objects.values_list("next_attempt_at", flat=True)
    assert all(timezone.now() + SILENT_PAUSE / 2 < at for at in times)


def test_other_endpoints_do_not_wait(waiting: list[Delivery], bob: User) -> None:
    other = Endpoint.objects.create(owner=bob, url="https://example.com/other")
    delivery = other.create_delivery("transcription.completed", "msg_1", {})
    silent_for_long(waiting[0])
    fail(waiting[0])
    assert list(Delivery.objects.due()) == [delivery]


def test_new_deliveries_are_sent_when_the_endpoint_responds(waiting: list[Delivery]) -> None:
    first, second, third = waiting
    silent_for_long(first)
    fail(first)
    Delivery.objects.filter(id=second.id).update(next_attempt_at=timezone.now())
    claimed = claim(second.id)
    assert claimed
    record_attempt(claimed, 500, "")
    assert list(Delivery.objects.due()) == [third]
    fail(third)  # a new silence begins
    assert third.endpoint.deliveries.get(id=third.id).next_attempt_at < timezone.now() + timedelta(
        seconds=RETRY_DELAYS_S[0] + 1
    )
