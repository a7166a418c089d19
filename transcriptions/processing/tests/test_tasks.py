"""Tasks are enqueued after commit, and again when their row is stalled."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import redis
from celery import Celery
from celery.signals import worker_ready
from django.conf import settings as django_settings
from django.utils import timezone
from structlog.contextvars import bound_contextvars, get_contextvars

from transcodio_site.testing import Media
from transcriptions import queue
from transcriptions.models import WORKING, Progress, State, Transcription
from transcriptions.processing import commands, lifecycle, tasks
from transcriptions.processing.tests.helpers import fresh
from transcriptions.queue import enqueue
from transcriptions.testing import ScriptedEngine, Upload, set_state, texts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """A connection to the broker, whose queues are empty."""
    with redis.Redis.from_url(django_settings.REDIS_URL) as client:
        client.flushall()
        yield client


@dataclass(frozen=True)
class Worker:
    """The sender of a worker's signals."""

    hostname: str


def messages(broker: redis.Redis, name: str) -> list[str]:
    """The arguments of the messages in a queue."""
    queued: list[Any] = broker.lrange(name, 0, -1)
    return [json.loads(message)["headers"]["argsrepr"] for message in queued]


def naming(row: Transcription) -> str:
    """The arguments of a message that a change of this row has led to."""
    return f"('{row.id}',)"


def test_upload_enqueues_preprocess(upload: Upload, media: Media, broker: redis.Redis) -> None:
    row = upload(media.silence("silence.wav", 1))
    assert messages(broker, "preprocess") == [naming(row)]


def test_preprocess_enqueues_transcribe(upload: Upload, media: Media, broker: redis.Redis) -> None:
    row = upload(media.silence("silence.wav", 1))
    tasks.preprocess(str(row.id))
    assert messages(broker, "transcribe")[-1] == naming(row)  # the first that is received


@pytest.mark.parametrize("arguments", [(), (str(uuid.uuid4()),)], ids=["periodic", "of another"])
def test_work_has_the_request_id_of_its_upload_whichever_message_starts_it(
    upload: Upload, media: Media, broker: redis.Redis, arguments: tuple[str, ...]
) -> None:
    with bound_contextvars(request_id="upload-1"):
        row = upload(media.silence("silence.wav", 1))
    with bound_contextvars(request_id="upload-2"):  # of that message
        context = copy_context()
    context.run(tasks.preprocess, *arguments)
    found = context.run(get_contextvars)
    assert (found["job_id"], found["request_id"]) == (str(row.id), "upload-1")


def test_resumed_recording_has_the_request_id_of_that_request(
    upload: Upload, media: Media, broker: redis.Redis
) -> None:
    row = upload(media.silence("silence.wav", 1))
    set_state(State.FAILED)
    with bound_contextvars(request_id="resume-1"):
        commands.retry(fresh(row))
    assert fresh(row).request_id == "resume-1"


def test_transcribe_task_stores_the_segments(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    tasks.transcribe(str(prepared.id))
    assert len(texts(prepared)) == 5


@pytest.mark.covers("fault", "A task is delivered after its recording was deleted")
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
        (State.CANCELLED, None),
    ],
)
@pytest.mark.covers("fault", "The message of a task is lost")
@pytest.mark.covers("fault", "The clock is set back by an hour")
@pytest.mark.parametrize("hours", [-1, 1])
def test_recording_without_a_worker_is_requeued(
    prepared: Transcription, broker: redis.Redis, state: State, queue_name: str | None, hours: int
) -> None:
    lease_until = timezone.now() + timedelta(hours=hours) if state in WORKING else None
    set_state(state)
    Progress.objects.update(lease_until=lease_until)
    tasks.requeue_stalled()
    for name in ("preprocess", "transcribe"):
        assert messages(broker, name) == ["()"] * (name == queue_name)


def test_recording_with_a_worker_is_not_requeued(
    prepared: Transcription, broker: redis.Redis
) -> None:
    assert lifecycle.claim(prepared.id, State.TRANSCRIBING)
    tasks.requeue_stalled()
    assert messages(broker, "transcribe") == []


def test_no_more_messages_are_sent_than_a_worker_has_threads(
    prepared: Transcription, broker: redis.Redis, settings: Any
) -> None:
    for _ in range(30):
        Transcription.objects.create(owner=prepared.owner, source_bytes=1)
    for _ in range(3):  # all workers are busy
        tasks.requeue_stalled()
    assert len(messages(broker, "preprocess")) == settings.CELERY_WORKER_CONCURRENCY


@pytest.mark.covers("fault", "The worker is killed and started again")
def test_starting_worker_takes_over_from_its_killed_predecessor(
    prepared: Transcription, broker: redis.Redis
) -> None:
    row = lifecycle.claim(prepared.id, State.TRANSCRIBING, "celery@host")
    assert row
    worker_ready.send(Worker("celery@another"))
    lifecycle.ensure_held(row)
    worker_ready.send(Worker("celery@host"))
    assert fresh(row).state == State.PREPARED
    assert messages(broker, "transcribe") == ["()"]


@pytest.mark.covers("fault", "Valkey is down when work is enqueued")
def test_unreachable_broker_does_not_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable = Celery(
        broker="redis+socket:///nonexistent/valkey.sock",
        broker_transport_options=django_settings.CELERY_BROKER_TRANSPORT_OPTIONS,
        set_as_current=False,
    )

    @unreachable.task
    def some_task(transcription_id: str) -> None:
        pass

    assert not enqueue(some_task, uuid.uuid4())
    monkeypatch.setattr(queue, "current_app", unreachable)
    assert queue.pending("transcribe") == 0
