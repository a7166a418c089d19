"""Deliveries: from the event to a real receiver, and the retries when it does not respond."""

from __future__ import annotations

import json
import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.models import User
from transcodio_site.testing import WAIT_S, wait_until
from transcriptions import queue
from transcriptions.models import State, Transcription
from transcriptions.processing import commands, lifecycle, pipeline
from transcriptions.processing.tests.helpers import raising
from transcriptions.signals import transcription_finished
from transcriptions.testing import ScriptedEngine
from transcriptions.webhooks import outbox, tasks, transport
from transcriptions.webhooks.delivery import attempt
from transcriptions.webhooks.lifecycle import (
    MAX_ATTEMPTS,
    RETRY_DELAYS_S,
    claim,
    enable,
    requeue,
    rotate_secret,
)
from transcriptions.webhooks.models import (
    MAX_SIGNATURES,
    TEST_EVENT,
    Delivery,
    DeliveryState,
    Endpoint,
    ReplacedSecret,
)
from transcriptions.webhooks.tests.conftest import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoint(alice: User, receiver: Receiver) -> Endpoint:
    return Endpoint.objects.create(owner=alice, url=receiver.url)


@pytest.fixture
def delivery(endpoint: Endpoint) -> Delivery:
    return endpoint.create_delivery("transcription.completed", "msg_1", {"id": 1})


def deliver_all() -> None:
    """Make one attempt for each due delivery, as workers do."""
    for delivery_id in Delivery.objects.due().values_list("id", flat=True):
        attempt(delivery_id)


def reload(delivery: Delivery) -> Delivery:
    return Delivery.objects.get(id=delivery.id)


def test_completed_transcription_is_delivered_once_and_signed(
    endpoint: Endpoint, receiver: Receiver, prepared: Transcription, engine: ScriptedEngine
) -> None:
    pipeline.transcribe(prepared.id)
    deliver_all()
    ((path, headers, body),) = receiver.requests
    assert path == "/hook"
    assert headers["Content-Type"] == "application/json"
    message = Webhook(endpoint.secret).verify(body, {k.lower(): v for k, v in headers.items()})
    assert message == json.loads(body)
    assert message["type"] == "transcription.completed"
    assert message["data"]["id"] == str(prepared.id)
    assert message["data"]["state"] == "completed"
    row = Delivery.objects.get()
    assert (row.state, row.status, row.attempts) == (DeliveryState.DELIVERED, 204, 1)
    deliver_all()
    assert len(receiver.requests) == 1


def test_signature_does_not_verify_another_body(
    endpoint: Endpoint, receiver: Receiver, delivery: Delivery
) -> None:
    attempt(delivery.id)
    headers = {name.lower(): value for name, value in receiver.requests[0][1].items()}
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(receiver.requests[0][2] + b" ", headers)


def test_replaced_secret_signs_for_24_hours(
    endpoint: Endpoint, receiver: Receiver, delivery: Delivery
) -> None:
    def verifies(secret: str) -> bool:
        _, headers, body = receiver.requests[-1]
        try:
            Webhook(secret).verify(body, {name.lower(): v for name, v in headers.items()})
        except WebhookVerificationError:
            return False
        return True

    secrets = [endpoint.secret]
    for _ in range(2):  # twice: the owner may have lost the first new secret
        rotate_secret(endpoint)
        secrets.append(endpoint.secret)
    attempt(delivery.id)
    assert [verifies(secret) for secret in secrets] == [True] * 3
    ReplacedSecret.objects.filter(secret=secrets[0]).update(until=timezone.now())
    requeue(delivery)
    attempt(delivery.id)
    assert [verifies(secret) for secret in secrets] == [False, True, True]
    tasks.delete_expired_secrets()
    assert ReplacedSecret.objects.get().secret == secrets[1]


def test_number_of_signatures_is_limited(endpoint: Endpoint) -> None:
    for _ in range(MAX_SIGNATURES + 1):
        rotate_secret(endpoint)
    assert len(endpoint.secrets) == MAX_SIGNATURES


def test_failure_is_delivered_and_cancellation_is_not(
    endpoint: Endpoint, receiver: Receiver, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before[2] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    deliver_all()
    message = json.loads(receiver.requests[0][2])
    assert message["type"] == "transcription.failed"
    assert message["data"]["error"]["code"] == "internal_error"
    commands.retry(prepared)
    commands.cancel(prepared)
    assert Delivery.objects.count() == 1


def test_only_enabled_endpoints_of_the_owner_that_subscribe_get_deliveries(
    alice: User, bob: User, prepared: Transcription, engine: ScriptedEngine, receiver: Receiver
) -> None:
    for owner, fields in (
        (bob, {}),
        (alice, {"events": ["transcription.failed"]}),
        (alice, {"disabled_at": timezone.now()}),
    ):
        Endpoint.objects.create(owner=owner, url=receiver.url, **fields)
    pipeline.transcribe(prepared.id)
    assert not Delivery.objects.exists()


def test_disabled_endpoint_gets_pending_deliveries_after_it_is_enabled(
    endpoint: Endpoint, receiver: Receiver, delivery: Delivery
) -> None:
    later = endpoint.create_delivery("transcription.completed", "msg_2", {"id": 2})
    receiver.status = 410
    attempt(delivery.id)
    attempt(later.id)
    deliver_all()
    assert len(receiver.requests) == 1
    assert reload(later).attempts == 0
    enable(endpoint)
    receiver.status = 204
    deliver_all()
    assert reload(later).state == DeliveryState.DELIVERED


def test_unexpected_error_counts_as_a_failed_attempt(
    delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    Endpoint.objects.update(
        url="https://bücher.example/"
    )  # the form would have stored it as Punycode
    for _ in range(len(RETRY_DELAYS_S) + 1):
        Delivery.objects.update(next_attempt_at=timezone.now())
        attempt(delivery.id)
    row = reload(delivery)
    assert (row.state, row.status) == (DeliveryState.FAILED, None)
    assert row.response == "The delivery could not be sent."
    assert "TypeError" in caplog.text  # for the operator


@pytest.mark.covers("fault", "Every worker that sends a webhook is killed")
def test_delivery_that_kills_workers_is_given_up(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "post", raising(SystemExit()))  # as if killed
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            attempt(delivery.id)
        assert reload(delivery).state == DeliveryState.PENDING
        Delivery.objects.update(next_attempt_at=timezone.now())
    attempt(delivery.id)
    assert reload(delivery).state == DeliveryState.FAILED
    assert reload(delivery).response == "The delivery could not be sent."


def test_slow_receivers_occupy_a_limited_number_of_threads(
    endpoint: Endpoint, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, proceed = threading.Semaphore(0), threading.Event()
    enqueued: list[uuid.UUID] = []

    def attempt_slowly(delivery_id: uuid.UUID) -> None:
        started.release()
        proceed.wait(WAIT_S)
        attempt(delivery_id)

    monkeypatch.setattr(tasks, "delivery_slots", threading.BoundedSemaphore(2))
    monkeypatch.setattr(tasks, "attempt", attempt_slowly)
    monkeypatch.setattr(queue, "enqueue", lambda task, delivery_id: enqueued.append(delivery_id))
    rows = [endpoint.create_delivery("webhook.test", f"msg_{n}", {}) for n in range(5)]

    def work(row: Delivery) -> None:
        tasks.deliver(str(row.id))
        connections.close_all()

    threads = [threading.Thread(target=work, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for _ in range(2):
        assert started.acquire(timeout=WAIT_S)
    wait_until(lambda: sum(thread.is_alive() for thread in threads) == 2)  # the others return
    proceed.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(receiver.requests) == 2  # the next ones are enqueued behind waiting recordings
    while enqueued:
        tasks.deliver(str(enqueued.pop()))
    assert len(receiver.requests) == 5


def test_new_deliveries_are_sent_before_retries(
    endpoint: Endpoint, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueued: list[uuid.UUID] = []
    monkeypatch.setattr(queue, "enqueue", lambda task, delivery_id: enqueued.append(delivery_id))
    long_ago = timezone.now() - timedelta(hours=1)
    for number in range(tasks.MAX_ENQUEUED):
        retry = endpoint.create_delivery("transcription.completed", f"msg_{number}", {})
    Delivery.objects.update(attempts=1, next_attempt_at=long_ago)
    new = endpoint.create_delivery("transcription.completed", "msg_new", {})
    tasks.enqueue_due_deliveries()
    assert (len(enqueued), enqueued[0]) == (tasks.MAX_ENQUEUED, new.id)
    tasks.deliver(str(retry.id))
    assert enqueued[-1] == new.id


def test_webhook_test_event_is_not_retried(endpoint: Endpoint, receiver: Receiver) -> None:
    receiver.status = 503
    row = endpoint.create_delivery(TEST_EVENT, "msg_1", {})
    attempt(row.id)
    assert (reload(row).state, reload(row).status) == (DeliveryState.FAILED, 503)


def test_simultaneous_clicks_send_one_test_event(endpoint: Endpoint) -> None:
    barrier = threading.Barrier(8)

    def click() -> None:
        barrier.wait(WAIT_S)
        outbox.send_test(endpoint)
        connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(barrier.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert Delivery.objects.count() == 1


def test_replay_of_a_pending_delivery_does_nothing(delivery: Delivery) -> None:
    assert claim(delivery.id)
    outbox.replay(delivery)
    assert claim(delivery.id) is None


def test_rolled_back_transition_creates_no_delivery(
    endpoint: Endpoint, prepared: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("after the delivery was created")

    transcription_finished.connect(fail)
    try:
        row = lifecycle.claim(prepared.id, State.TRANSCRIBING)
        assert row is not None
        with pytest.raises(RuntimeError):
            lifecycle.mark_failed(row, "code", "sentence")
    finally:
        transcription_finished.disconnect(fail)
    assert not Delivery.objects.exists()
    prepared.refresh_from_db()
    assert prepared.state == State.TRANSCRIBING


def test_failed_delivery_is_retried_for_24_hours(receiver: Receiver, delivery: Delivery) -> None:
    receiver.status, receiver.body = 503, b"busy\x00" + b"x" * 2000
    waits: list[tuple[float, float]] = []  # seconds at least and at most
    for number in range(1, len(RETRY_DELAYS_S) + 2):
        before = timezone.now()
        attempt(delivery.id)
        row = reload(delivery)
        assert (row.attempts, row.status) == (number, 503)
        assert row.response.startswith("busyx")
        assert len(row.response) <= 500
        at = row.next_attempt_at
        waits.append(((at - timezone.now()).total_seconds(), (at - before).total_seconds()))
        attempt(delivery.id)  # not due yet
        assert reload(delivery).attempts == number
        Delivery.objects.update(next_attempt_at=timezone.now())
    for (least, most), delay in zip(waits, RETRY_DELAYS_S, strict=False):
        assert least <= 1.1 * delay
        assert 0.9 * delay <= most
    assert 23 * 3600 < sum(RETRY_DELAYS_S) < 25 * 3600
    assert reload(delivery).state == DeliveryState.FAILED
    ids = {headers["webhook-id"] for _, headers, _ in receiver.requests}
    assert (len(receiver.requests), ids) == (len(RETRY_DELAYS_S) + 1, {"msg_1"})


def test_delivery_can_be_claimed_by_one_worker_only(receiver: Receiver, delivery: Delivery) -> None:
    assert claim(delivery.id)
    assert claim(delivery.id) is None
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert claim(delivery.id)  # the lease of the first worker expired


def test_replay_has_the_same_message_id(receiver: Receiver, delivery: Delivery) -> None:
    attempt(delivery.id)
    requeue(delivery)
    attempt(delivery.id)
    assert [headers["webhook-id"] for _, headers, _ in receiver.requests] == ["msg_1", "msg_1"]
    assert reload(delivery).state == DeliveryState.DELIVERED


def test_response_410_disables_the_endpoint(
    receiver: Receiver, endpoint: Endpoint, delivery: Delivery
) -> None:
    receiver.status = 410
    attempt(delivery.id)
    assert reload(delivery).state == DeliveryState.FAILED
    endpoint.refresh_from_db()
    assert endpoint.disabled_at is not None


def test_periodic_task_enqueues_due_deliveries(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueued: list[Any] = []
    monkeypatch.setattr(queue, "enqueue", lambda task, delivery_id: enqueued.append(delivery_id))
    tasks.enqueue_due_deliveries()
    assert enqueued == [delivery.id]
    Delivery.objects.update(next_attempt_at=timezone.now() + timedelta(minutes=1))
    tasks.enqueue_due_deliveries()
    assert enqueued == [delivery.id]


def test_finished_deliveries_are_deleted_after_30_days(delivery: Delivery) -> None:
    Delivery.objects.update(created_at=timezone.now() - timedelta(days=31))
    tasks.delete_old_deliveries()
    assert Delivery.objects.exists()  # still pending
    Delivery.objects.update(state=DeliveryState.DELIVERED)
    tasks.delete_old_deliveries()
    assert not Delivery.objects.exists()


def test_pending_deliveries_of_a_disabled_endpoint_are_deleted_after_30_days(
    endpoint: Endpoint,
) -> None:
    endpoint.create_delivery("transcription.completed", "msg_1", {})
    Delivery.objects.update(created_at=timezone.now() - timedelta(days=31))
    Endpoint.objects.update(disabled_at=timezone.now())
    tasks.delete_old_deliveries()
    assert not Delivery.objects.exists()


def test_delivery_of_a_deleted_endpoint_is_not_sent(
    endpoint: Endpoint, delivery: Delivery, receiver: Receiver
) -> None:
    endpoint.delete()
    attempt(delivery.id)
    assert receiver.requests == []


def test_deliveries_of_a_deleted_recording_are_found_by_an_index(
    endpoint: Endpoint, prepared: Transcription
) -> None:
    other = endpoint.create_delivery("transcription.failed", "msg_1", {"id": str(uuid.uuid4())})
    endpoint.create_delivery("transcription.completed", "msg_2", {"id": str(prepared.id)})
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # which is faster for two rows
        assert "deliveries_by_recording" in Delivery.objects.about(prepared.id).explain()
    prepared.delete()
    assert list(Delivery.objects.all()) == [other]
