"""Tasks are enqueued after commit, and again when their row is stalled."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from celery import Celery
from django.conf import settings
from django.utils import timezone

from transcodio_site.testing import Media
from transcriptions.models import State, Transcription
from transcriptions.processing import tasks
from transcriptions.queue import enqueue
from transcriptions.testing import ScriptedEngine, Upload, set_state, texts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """A connection to the broker, whose queues are empty."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushall()
        yield client


def queued_ids(broker: redis.Redis, name: str) -> list[str]:
    """The ids in the messages of a queue."""
    messages: list[Any] = broker.lrange(name, 0, -1)
    return [json.loads(message)["headers"]["argsrepr"][2:-3] for message in messages]


def test_upload_enqueues_preprocess(upload: Upload, media: Media, broker: redis.Redis) -> None:
    row = upload(media.silence("silence.wav", 1))
    assert queued_ids(broker, "preprocess") == [str(row.id)]


def test_preprocess_enqueues_transcribe(upload: Upload, media: Media, broker: redis.Redis) -> None:
    row = upload(media.silence("silence.wav", 1))
    tasks.preprocess(str(row.id))
    assert queued_ids(broker, "transcribe") == [str(row.id)]


def test_transcribe_task_stores_the_segments(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    tasks.transcribe(str(prepared.id))
    assert len(texts(prepared)) == 5


def test_tasks_for_deleted_row_do_nothing(db: None) -> None:
    tasks.preprocess(str(uuid.uuid4()))
    tasks.transcribe(str(uuid.uuid4()))


@pytest.mark.parametrize(
    ("state", "queue_name"),
    [
        (State.QUEUED, "preprocess"),
        (State.PREPROCESSING, "preprocess"),
        (State.PREPARED, "transcribe"),
        (State.TRANSCRIBING, "transcribe"),
        (State.COMPLETED, None),
        (State.FAILED, None),
    ],
)
def test_expired_lease_is_requeued(
    prepared: Transcription, broker: redis.Redis, state: State, queue_name: str | None
) -> None:
    set_state(state)
    tasks.requeue_stalled()
    # Its lease has not expired.
    assert queued_ids(broker, "preprocess") + queued_ids(broker, "transcribe") == []
    Transcription.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    tasks.requeue_stalled()
    for name in ("preprocess", "transcribe"):
        assert queued_ids(broker, name) == ([str(prepared.id)] if name == queue_name else [])


def test_waiting_row_is_requeued_once_per_lease(
    prepared: Transcription, broker: redis.Redis
) -> None:
    Transcription.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    tasks.requeue_stalled()
    tasks.requeue_stalled()
    assert len(queued_ids(broker, "transcribe")) == 1


def test_enqueue_with_unreachable_broker_does_not_raise() -> None:
    unreachable = Celery(broker="redis+socket:///nonexistent/valkey.sock", set_as_current=False)

    @unreachable.task
    def some_task(transcription_id: str) -> None:
        pass

    enqueue(some_task, uuid.uuid4())
