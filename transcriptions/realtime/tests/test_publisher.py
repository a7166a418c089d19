"""Publishing: never waits for Valkey, and loses nothing while Valkey is down for a short time."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from gpu.types import Partial, Word
from transcodio_site.testing import WAIT_S, wait_until
from transcriptions.realtime.messages import event_channel, parse_message
from transcriptions.realtime.partials import PartialPublisher
from transcriptions.realtime.publisher import Publisher, publisher
from transcriptions.schemas.events import PartialEvent


class Receiver:
    """Receives what is published on one channel."""

    def __init__(self, channel: str) -> None:
        self._client = redis.Redis.from_url(settings.REDIS_URL)
        self._pubsub = self._client.pubsub()
        self._pubsub.subscribe(channel)
        self._pubsub.get_message(timeout=WAIT_S)  # the confirmation

    def next(self) -> Any:
        """The next message."""
        message = self._pubsub.get_message(timeout=WAIT_S)
        assert message
        return message["data"]

    def close(self) -> None:
        """Disconnect."""
        self._pubsub.close()
        self._client.close()


@pytest.fixture
def recording() -> uuid.UUID:
    return uuid.uuid4()


@pytest.fixture
def receiver(recording: uuid.UUID) -> Iterator[Receiver]:
    receiver = Receiver(event_channel(recording))
    yield receiver
    receiver.close()


@pytest.mark.covers("fault", "Valkey is down while events are published")
def test_messages_are_sent_when_valkey_is_back(
    recording: uuid.UUID, receiver: Receiver, tmp_path: Path
) -> None:
    socket = Path(settings.REDIS_URL.removeprefix("unix://").partition("?")[0])
    away = tmp_path / "valkey.sock"
    publisher = Publisher(f"unix://{away}")
    for number in range(3):
        publisher.send(event_channel(recording), str(number))
    assert not publisher.flush(0.0)
    away.symlink_to(socket)
    assert [receiver.next() for _ in range(3)] == [b"0", b"1", b"2"]


@pytest.mark.covers("fault", "The connection that publishes live events is lost")
def test_messages_are_sent_after_connection_was_lost(
    recording: uuid.UUID, receiver: Receiver
) -> None:
    publisher = Publisher(settings.REDIS_URL)
    publisher.send(event_channel(recording), "before")
    assert receiver.next() == b"before"
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    publisher.send(event_channel(recording), "after")
    assert receiver.next() == b"after"


def test_forked_process_publishes(recording: uuid.UUID, receiver: Receiver) -> None:
    publisher.send(event_channel(recording), "parent")
    assert receiver.next() == b"parent"
    child = os.fork()
    if not child:
        publisher.send(event_channel(recording), "child")
        os._exit(0 if publisher.flush(WAIT_S) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert receiver.next() == b"child"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the test may need more than the usual interval between two partials."""
    monkeypatch.setattr("transcriptions.realtime.partials.PUBLISH_INTERVAL_S", 2.0)


@pytest.mark.usefixtures("patient")
def test_newest_partial_is_published(recording: uuid.UUID, receiver: Receiver) -> None:
    partials = PartialPublisher(recording, after=3)
    for text in ("A", "A few", "A few words"):
        partials.schedule(Partial((Word(0.0, 1.0, text),)))
    assert parse_message(receiver.next()) == PartialEvent(id=3, text="A few words")


@pytest.mark.usefixtures("patient")
def test_partial_is_dropped_when_its_segment_is_stored(
    recording: uuid.UUID, receiver: Receiver
) -> None:
    partials = PartialPublisher(recording, after=0)
    partials.schedule(Partial((Word(0.0, 1.0, "First"),)))
    partials.discard(1)
    partials.schedule(Partial((Word(1.0, 2.0, "Second"),)))
    assert parse_message(receiver.next()) == PartialEvent(id=1, text="Second")
    wait_until(publisher.flush)
