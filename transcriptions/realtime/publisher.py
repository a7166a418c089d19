"""Sends messages to Valkey: one thread and one connection for the whole process.

The caller never waits for Valkey. Messages that cannot be sent are kept, up to MAX_PENDING, and
sent when Valkey is back.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Hashable

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

log = logging.getLogger(__name__)

MAX_PENDING = 10_000  # messages; then the oldest are dropped, and read from the database later
MAX_BATCH = 500  # messages in one round trip
TIMEOUT_S = 5.0  # after which Valkey is considered unavailable
RETRY_S = 0.5
EXIT_TIMEOUT_S = 1.0  # for an exiting process to send pending messages

Outgoing = tuple[str, str]  # channel and message


class Publisher:
    """Thread-safe. A forked process starts with an empty one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.reset()

    def reset(self) -> None:
        """Forget everything, including the thread, which does not exist after a fork."""
        self._changed = threading.Condition()
        self._pending: deque[Outgoing] = deque(maxlen=MAX_PENDING)
        # Time of sending (monotonic) and message by key. All wait equally long, so the first is due
        # first.
        self._delayed: dict[Hashable, tuple[float, Outgoing]] = {}
        self._thread: threading.Thread | None = None
        self._is_sending = False

    def send(self, channel: str, message: str) -> None:
        """Send a message soon."""
        with self._changed:
            self._pending.append((channel, message))
            self._wake()

    def send_delayed(self, key: Hashable, delay_s: float, channel: str, message: str) -> None:
        """Send a message in `delay_s`, which is the same for all keys. It replaces a waiting
        message with this key, and is sent when that one would have been."""
        with self._changed:
            due, _ = self._delayed.get(key, (time.monotonic() + delay_s, None))
            self._delayed[key] = (due, (channel, message))
            self._wake()

    def discard(self, key: Hashable) -> None:
        """Do not send the message that waits with this key."""
        with self._changed:
            self._delayed.pop(key, None)

    def flush(self, timeout_s: float = EXIT_TIMEOUT_S) -> bool:
        """Wait until nothing is pending. Return False after `timeout_s`. Delayed messages do not
        count."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._pending and not self._is_sending, timeout_s
            )

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        client = redis.Redis.from_url(
            self._url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # retried below
        )
        while True:
            self._send(client, self._next_batch())

    def _next_batch(self) -> list[Outgoing]:
        with self._changed:
            self._is_sending = False
            self._changed.notify_all()
            while True:
                wait_s = self._release_due()
                if self._pending:
                    break
                self._changed.wait(wait_s)
            self._is_sending = True
            count = min(MAX_BATCH, len(self._pending))
            return [self._pending.popleft() for _ in range(count)]

    def _release_due(self) -> float | None:
        """Move due messages to the pending ones. Return the seconds until the next one is due."""
        now = time.monotonic()
        while self._delayed:
            key, (due, message) = next(iter(self._delayed.items()))
            if due > now:
                return due - now
            del self._delayed[key]
            self._pending.append(message)
        return None

    def _send(self, client: redis.Redis, batch: list[Outgoing]) -> None:
        """Repeat until Valkey has received the messages. Subscribers ignore duplicates."""
        is_away = False
        while True:
            try:
                self._send_once(client, batch)
                return
            except Exception as error:  # the thread must not end
                if not is_away:
                    expected = isinstance(error, RedisError | OSError)
                    log.warning("events wait for Valkey: %s", error, exc_info=not expected)
                is_away = True
                time.sleep(RETRY_S)

    @staticmethod
    def _send_once(client: redis.Redis, batch: list[Outgoing]) -> None:
        pipeline = client.pipeline(transaction=False)
        for message in batch:
            pipeline.publish(*message)
        for result in pipeline.execute(raise_on_error=False):
            if isinstance(result, Exception):
                log.error("Valkey has refused an event: %s", result)


publisher = Publisher(settings.REDIS_URL)
os.register_at_fork(after_in_child=publisher.reset)
atexit.register(publisher.flush)
