"""From the end of a recording to a real receiver, and again when it does not answer."""

from __future__ import annotations

import json
import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.models import User
from transcodio_site.testing import WAIT_S, wait_until
from transcriptions import actions, pipeline
from transcriptions.models import Transcription
from transcriptions.tests.conftest import ScriptedEngine
from transcriptions.webhooks import outbox, tasks
from transcriptions.webhooks.attempts import attempt
from transcriptions.webhooks.models import (
    DELAYS,
    SIGNATURES,
    TEST,
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
    return endpoint.send("transcription.completed", "msg_1", {"id": 1})


def deliver_all() -> None:
    """What the workers do when they are rung."""
    for id in Delivery.objects.due().values_list("id", flat=True):
        attempt(id)


def fresh(delivery: Delivery) -> Delivery:
    return Delivery.objects.get(id=delivery.id)


def test_a_completed_transcript_is_announced(
    endpoint: Endpoint, receiver: Receiver, prepared: Transcription, engine: ScriptedEngine
) -> None:
    pipeline.transcribe(prepared.id)
    deliver_all()
    ((path, headers, body),) = receiver.got
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
    assert len(receiver.got) == 1


def test_a_signature_is_worth_nothing_for_another_body(
    endpoint: Endpoint, receiver: Receiver, delivery: Delivery
) -> None:
    attempt(delivery.id)
    headers = {name.lower(): value for name, value in receiver.got[0][1].items()}
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(receiver.got[0][2] + b" ", headers)


def test_a_secret_signs_on_for_a_day_after_it_was_replaced(
    endpoint: Endpoint, receiver: Receiver, delivery: Delivery
) -> None:
    def verifies(secret: str) -> bool:
        _, headers, body = receiver.got[-1]
        try:
            Webhook(secret).verify(body, {name.lower(): v for name, v in headers.items()})
        except WebhookVerificationError:
            return False
        return True

    secrets = [endpoint.secret]
    for _ in range(2):  # twice: who has lost the new one asks again
        endpoint.rotate()
        secrets.append(endpoint.secret)
    attempt(delivery.id)
    assert [verifies(secret) for secret in secrets] == [True] * 3
    ReplacedSecret.objects.filter(secret=secrets[0]).update(until=timezone.now())
    delivery.again()
    attempt(delivery.id)
    assert [verifies(secret) for secret in secrets] == [False, True, True]
    tasks.forget_old_secrets()
    assert ReplacedSecret.objects.get().secret == secrets[1]


def test_messages_do_not_swell_with_signatures(endpoint: Endpoint) -> None:
    for _ in range(SIGNATURES + 1):
        endpoint.rotate()
    assert len(endpoint.secrets) == SIGNATURES


def test_a_failure_is_announced_and_a_cancellation_is_not(
    endpoint: Endpoint, receiver: Receiver, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before[2] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    deliver_all()
    message = json.loads(receiver.got[0][2])
    assert message["type"] == "transcription.failed"
    assert message["data"]["error"]["code"] == "internal_error"
    actions.retry(prepared)
    actions.cancel(prepared)
    assert Delivery.objects.count() == 1


def test_only_the_owner_s_endpoints_that_want_it_are_told(
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


def test_who_wants_no_more_gets_no_more(
    endpoint: Endpoint, receiver: Receiver, delivery: Delivery
) -> None:
    later = endpoint.send("transcription.completed", "msg_2", {"id": 2})
    receiver.status = 410
    attempt(delivery.id)
    attempt(later.id)
    deliver_all()
    assert len(receiver.got) == 1
    assert fresh(later).attempts == 0
    Endpoint.objects.get().enable()
    receiver.status = 204
    deliver_all()
    assert fresh(later).state == DeliveryState.DELIVERED


def test_a_fault_of_ours_is_an_attempt_with_an_end(delivery: Delivery) -> None:
    Endpoint.objects.update(url="https://bücher.example/")  # the form would not have kept it so
    for _ in range(len(DELAYS) + 1):
        Delivery.objects.update(next_attempt_at=timezone.now())
        attempt(delivery.id)
    row = fresh(delivery)
    assert (row.state, row.status) == (DeliveryState.FAILED, None)
    assert "TypeError" in row.answer


def test_slow_receivers_leave_room_for_recordings(
    endpoint: Endpoint, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, go_on = threading.Semaphore(0), threading.Event()
    rung: list[uuid.UUID] = []

    def slowly(id: uuid.UUID) -> None:
        waiting.release()
        go_on.wait(WAIT_S)
        attempt(id)

    monkeypatch.setattr(tasks, "PLACES", threading.BoundedSemaphore(2))
    monkeypatch.setattr(tasks, "attempt", slowly)
    monkeypatch.setattr(tasks, "ring", lambda task, id: rung.append(id))
    rows = [endpoint.send("webhook.test", f"msg_{n}", {}) for n in range(5)]

    def work(row: Delivery) -> None:
        tasks.deliver(str(row.id))
        connections.close_all()

    threads = [threading.Thread(target=work, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for _ in range(2):
        assert waiting.acquire(timeout=WAIT_S)
    wait_until(lambda: sum(thread.is_alive() for thread in threads) == 2)  # others are free
    go_on.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(receiver.got) == 2  # and recordings have their turn before the next one
    while rung:
        tasks.deliver(str(rung.pop()))
    assert len(receiver.got) == 5


def test_who_is_away_does_not_delay_what_is_new(
    endpoint: Endpoint, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[uuid.UUID] = []
    monkeypatch.setattr(tasks, "ring", lambda task, id: rung.append(id))
    long_ago = timezone.now() - timedelta(hours=1)
    for number in range(tasks.BELLS):
        row = endpoint.send("transcription.completed", f"msg_{number}", {})
    Delivery.objects.update(attempts=1, next_attempt_at=long_ago)
    new = endpoint.send("transcription.completed", "msg_new", {})
    tasks.ring_due()
    assert (len(rung), rung[0]) == (tasks.BELLS, new.id)
    tasks.deliver(str(row.id))
    assert rung[-1] == new.id


def test_a_test_is_tried_once(endpoint: Endpoint, receiver: Receiver) -> None:
    receiver.status = 503
    row = endpoint.send(TEST, "msg_1", {})
    attempt(row.id)
    assert (fresh(row).state, fresh(row).status) == (DeliveryState.FAILED, 503)


def test_of_many_clicks_at_once_one_test_is_sent(endpoint: Endpoint) -> None:
    together = threading.Barrier(8)

    def click() -> None:
        together.wait(WAIT_S)
        outbox.send_test(endpoint)
        connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(together.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert Delivery.objects.count() == 1


def test_what_is_on_its_way_is_not_sent_beside_it(delivery: Delivery) -> None:
    assert Delivery.objects.claim(delivery.id)
    outbox.replay(delivery)
    assert Delivery.objects.claim(delivery.id) is None


def test_what_is_not_stored_is_not_announced(
    endpoint: Endpoint, prepared: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transcriptions.models import State, ended

    def broken(**_: Any) -> None:
        raise RuntimeError("after the outbox was written")

    ended.connect(broken)
    try:
        row = Transcription.objects.claim(prepared.id, State.TRANSCRIBING)
        assert row is not None
        with pytest.raises(RuntimeError):
            row.failed("code", "sentence")
    finally:
        ended.disconnect(broken)
    assert not Delivery.objects.exists()
    prepared.refresh_from_db()
    assert prepared.state == State.TRANSCRIBING


def test_what_does_not_arrive_is_tried_again_for_a_day(
    receiver: Receiver, delivery: Delivery
) -> None:
    receiver.status, receiver.body = 503, b"busy\x00" + b"x" * 2000
    waits: list[tuple[float, float]] = []  # at the least, at the most
    for number in range(1, len(DELAYS) + 2):
        before = timezone.now()
        attempt(delivery.id)
        row = fresh(delivery)
        assert (row.attempts, row.status) == (number, 503)
        assert row.answer.startswith("busyx")
        assert len(row.answer) <= 500
        at = row.next_attempt_at
        waits.append(((at - timezone.now()).total_seconds(), (at - before).total_seconds()))
        attempt(delivery.id)  # too early: nothing happens
        assert fresh(delivery).attempts == number
        Delivery.objects.update(next_attempt_at=timezone.now())
    for (least, most), delay in zip(waits, DELAYS, strict=False):
        assert least <= 1.1 * delay
        assert 0.9 * delay <= most
    assert 23 * 3600 < sum(DELAYS) < 25 * 3600
    assert fresh(delivery).state == DeliveryState.FAILED
    ids = {headers["webhook-id"] for _, headers, _ in receiver.got}
    assert (len(receiver.got), ids) == (len(DELAYS) + 1, {"msg_1"})


def test_two_workers_do_not_post_the_same_message(receiver: Receiver, delivery: Delivery) -> None:
    assert Delivery.objects.claim(delivery.id)
    assert Delivery.objects.claim(delivery.id) is None
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert Delivery.objects.claim(delivery.id)  # the first one has died


def test_a_replay_has_the_same_id(receiver: Receiver, delivery: Delivery) -> None:
    attempt(delivery.id)
    delivery.again()
    attempt(delivery.id)
    assert [headers["webhook-id"] for _, headers, _ in receiver.got] == ["msg_1", "msg_1"]
    assert fresh(delivery).state == DeliveryState.DELIVERED


def test_an_endpoint_that_is_gone_is_switched_off(
    receiver: Receiver, endpoint: Endpoint, delivery: Delivery
) -> None:
    receiver.status = 410
    attempt(delivery.id)
    assert fresh(delivery).state == DeliveryState.FAILED
    endpoint.refresh_from_db()
    assert endpoint.disabled_at is not None


def test_beat_rings_for_what_is_due(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(tasks, "ring", lambda task, id: rung.append(id))
    tasks.ring_due()
    assert rung == [delivery.id]
    Delivery.objects.update(next_attempt_at=timezone.now() + timedelta(minutes=1))
    tasks.ring_due()
    assert rung == [delivery.id]


def test_the_log_goes_back_a_month(delivery: Delivery) -> None:
    Delivery.objects.update(created_at=timezone.now() - timedelta(days=31))
    tasks.forget_old_deliveries()
    assert Delivery.objects.exists()  # it still waits
    Delivery.objects.update(state=DeliveryState.DELIVERED)
    tasks.forget_old_deliveries()
    assert not Delivery.objects.exists()


def test_nothing_waits_for_ever_for_who_wants_no_more(endpoint: Endpoint) -> None:
    endpoint.send("transcription.completed", "msg_1", {})
    Delivery.objects.update(created_at=timezone.now() - timedelta(days=31))
    Endpoint.objects.update(disabled_at=timezone.now())
    tasks.forget_old_deliveries()
    assert not Delivery.objects.exists()


def test_a_delivery_whose_endpoint_was_deleted_is_nobody_s(
    endpoint: Endpoint, delivery: Delivery, receiver: Receiver
) -> None:
    endpoint.delete()
    attempt(delivery.id)
    assert receiver.got == []
