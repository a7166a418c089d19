"""The bell: rung after commit, rung again when it was not heard, and never needed for safety."""

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
def queue() -> Iterator[redis.Redis]:
    """The broker, empty."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushall()
        yield client


def bells(queue: redis.Redis, name: str) -> list[str]:
    """The ids that wait in a queue."""
    found: list[Any] = queue.lrange(name, 0, -1)
    return [json.loads(message)["headers"]["argsrepr"][2:-3] for message in found]


def test_an_upload_rings_for_preprocessing(
    upload: Upload, media: Media, queue: redis.Redis
) -> None:
    row = upload(media.silence("silence.wav", 1))
    assert bells(queue, "preprocess") == [str(row.id)]


def test_what_is_prepared_rings_for_the_engine(
    upload: Upload, media: Media, queue: redis.Redis
) -> None:
    row = upload(media.silence("silence.wav", 1))
    tasks.preprocess(str(row.id))
    assert bells(queue, "transcribe") == [str(row.id)]


def test_the_engine_half_is_a_task_too(prepared: Transcription, engine: ScriptedEngine) -> None:
    tasks.transcribe(str(prepared.id))
    assert len(texts(prepared)) == 5


def test_tasks_survive_a_row_that_is_gone(db: None) -> None:
    tasks.preprocess(str(uuid.uuid4()))
    tasks.transcribe(str(uuid.uuid4()))


@pytest.mark.parametrize(
    ("state", "rings"),
    [
        (State.QUEUED, "preprocess"),
        (State.PREPROCESSING, "preprocess"),
        (State.PREPARED, "transcribe"),
        (State.TRANSCRIBING, "transcribe"),
        (State.COMPLETED, None),
        (State.FAILED, None),
    ],
)
def test_the_sweeper_rings_for_what_was_forgotten(
    prepared: Transcription, queue: redis.Redis, state: State, rings: str | None
) -> None:
    set_state(state)
    tasks.requeue_stalled()
    assert bells(queue, "preprocess") + bells(queue, "transcribe") == []  # its lease still runs
    Transcription.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    tasks.requeue_stalled()
    for name in ("preprocess", "transcribe"):
        assert bells(queue, name) == ([str(prepared.id)] if name == rings else [])


def test_a_row_that_waits_is_not_rung_for_at_every_sweep(
    prepared: Transcription, queue: redis.Redis
) -> None:
    Transcription.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    tasks.requeue_stalled()
    tasks.requeue_stalled()
    assert len(bells(queue, "transcribe")) == 1


def test_an_upload_is_taken_even_when_the_queue_is_away() -> None:
    away = Celery(broker="redis+socket:///nonexistent/valkey.sock", set_as_current=False)

    @away.task
    def bell(id: str) -> None:
        pass

    enqueue(bell, uuid.uuid4())
