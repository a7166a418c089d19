"""Messages from Valkey for all watchers of this process, over one connection.

A process subscribes to the channels that its clients watch, parses each message once, and passes it
to the watchers in memory. While the connection is down, it polls the database instead, with one
query for all watched recordings.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

import redis.asyncio
from django.conf import settings
from pydantic import ValidationError
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from transcriptions.realtime.messages import AccessChanged, Message, parse_message

log = logging.getLogger(__name__)

MAX_QUEUED = 100  # messages for one watcher; then the oldest are dropped and read from the database
TIMEOUT_S = 5.0  # of connecting to Valkey
SILENCE_S = 3.0  # without a message, after which Valkey is pinged, and then considered unavailable
CONFIRMATION_S = 1.0  # for Valkey to confirm a subscription; after that the database is polled
RECONNECT_DELAY_S = 1.0
POLL_S = 2.0  # between queries while the connection is down
RECHECK_S = 60.0  # between queries while it is up: a lost message may go unnoticed
TICK_S = 0.5  # between checks of the watchers' timeouts: no watcher has its own timer

# Reads the newest messages of channels from the database. Channels without a row are left out.
Newest = Callable[[list[str]], Awaitable[dict[str, Message]]]


class Watcher:
    """Messages for one watcher. If it is slow, the oldest are dropped."""

    __slots__ = ("_messages", "_wait_until", "_waiting", "access_changed")

    def __init__(self) -> None:
        self.access_changed = False
        self._messages: deque[Message] = deque(maxlen=MAX_QUEUED)
        self._waiting: asyncio.Future[None] | None = None
        self._wait_until = math.inf

    def put(self, message: Message) -> None:
        """Add a message. A change of access is kept separately, so that it is never dropped."""
        if isinstance(message, AccessChanged):
            self.access_changed = True
        else:
            self._messages.append(message)
        self._wake()

    async def next(self, timeout_s: float) -> Message | None:
        """The next message; None after `timeout_s` without one, or when access has changed."""
        if not self._messages and not self.access_changed:
            loop = asyncio.get_running_loop()
            self._waiting, self._wait_until = loop.create_future(), loop.time() + timeout_s
            await self._waiting
        return self._messages.popleft() if self._messages else None

    def tick(self, now: float) -> None:
        """End the wait if its timeout is over. `now` is the time of the event loop."""
        if now >= self._wait_until:
            self._wake()

    def _wake(self) -> None:
        self._wait_until = math.inf
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)


class Topic:
    """A channel of Valkey and its watchers."""

    def __init__(self) -> None:
        self.watchers: set[Watcher] = set()
        self.confirmed = asyncio.Event()  # while Valkey has the subscription
        self.may_have_missed = False  # a message, because a watcher started without confirmation

    def put(self, message: Message) -> None:
        """Give the message to all watchers."""
        for watcher in self.watchers:
            watcher.put(message)


class Hub:
    """The watchers of one event loop. It exists as long as there are any."""

    def __init__(self, newest: Newest) -> None:
        self._newest = newest
        self._topics: dict[str, Topic] = {}
        self._topics_changed = asyncio.Event()
        self._poll_now = asyncio.Event()
        self._watchers = set[Watcher]()
        self._is_connected = True  # assumed until it fails
        self._tasks = [
            asyncio.create_task(self._stay_connected()),
            asyncio.create_task(self._poll()),
            asyncio.create_task(self._tick()),
        ]

    @property
    def is_idle(self) -> bool:
        """Whether there are no watchers."""
        return not self._watchers

    def close(self) -> None:
        """Disconnect."""
        for task in self._tasks:
            task.cancel()

    async def join(self, watcher: Watcher, channels: tuple[str, ...]) -> None:
        """Pass the watcher all messages from now on: return when Valkey has confirmed the
        subscription. If it does not do so in time, messages are recovered from the database."""
        self._watchers.add(watcher)
        topics = [self._topics.setdefault(channel, Topic()) for channel in channels]
        for topic in topics:
            topic.watchers.add(watcher)
        self._topics_changed.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(CONFIRMATION_S):
                for topic in topics:
                    await topic.confirmed.wait()
        for topic in topics:
            topic.may_have_missed |= not topic.confirmed.is_set()

    def leave(self, watcher: Watcher, channels: tuple[str, ...]) -> None:
        """End what `join` began, even if that was cancelled."""
        self._watchers.discard(watcher)
        for channel in channels:
            self._topics[channel].watchers.discard(watcher)
        self._topics_changed.set()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            for watcher in self._watchers:
                watcher.tick(loop.time())

    # --- The connection -----------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        while True:
            try:
                await self._connect()
            except* (RedisError, OSError) as group:
                log.warning("events are read from the database: %s", group.exceptions[0])
            except* Exception:
                log.exception("events are read from the database")
            self._connection_lost()
            await asyncio.sleep(RECONNECT_DELAY_S)

    def _connection_lost(self) -> None:
        if self._is_connected:
            self._is_connected = False
            self._poll_now.set()
        for topic in self._topics.values():
            topic.confirmed.clear()
            topic.may_have_missed = True

    async def _connect(self) -> None:
        """Receive messages until the connection is lost. Raises ExceptionGroup."""
        client = redis.asyncio.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # we must know when messages may have been missed
        )
        async with client, client.pubsub() as pubsub, asyncio.TaskGroup() as tasks:
            await pubsub.connect()
            _raise_if_cancelled()
            self._is_connected = True
            tasks.create_task(self._keep_subscribed(pubsub))
            # Not as a task: if this task waited only for other tasks, the group would leave it
            # marked as cancelled after a failure (before Python 3.13).
            await self._receive(pubsub)

    async def _keep_subscribed(self, pubsub: Any) -> None:
        subscribed: set[str] = set()
        while True:
            self._topics_changed.clear()
            ended = [name for name, topic in self._topics.items() if not topic.watchers]
            for name in ended:
                del self._topics[name]
            if added := self._topics.keys() - subscribed:
                await pubsub.subscribe(*added)
            if removed := subscribed.intersection(ended):
                await pubsub.unsubscribe(*removed)
            _raise_if_cancelled()
            subscribed = (subscribed | added) - removed
            await self._topics_changed.wait()

    async def _receive(self, pubsub: Any) -> None:
        is_asked = False
        while True:
            reply = await pubsub.get_message(timeout=SILENCE_S)
            if reply is not None:
                is_asked = False
                self._dispatch(reply)
            elif is_asked:
                raise TimeoutError("Valkey does not answer")
            else:
                is_asked = True
                await pubsub.ping()
                _raise_if_cancelled()

    def _dispatch(self, reply: dict[str, Any]) -> None:
        topic = self._topics.get((reply["channel"] or b"").decode())
        if topic is None:
            return
        match reply["type"]:
            case "message":
                self._put(topic, reply["data"])
            case "subscribe":
                topic.confirmed.set()
                if topic.may_have_missed:
                    topic.may_have_missed = False
                    self._poll_now.set()

    def _put(self, topic: Topic, data: bytes) -> None:
        try:
            topic.put(parse_message(data))
        except ValidationError as error:  # of a newer release, perhaps
            log.warning("unknown message: %s", error)
            self._poll_now.set()

    # --- The database ---------------------------------------------------------------------------

    async def _poll(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RECHECK_S if self._is_connected else POLL_S):
                    await self._poll_now.wait()
            self._poll_now.clear()
            try:
                newest = await self._newest(list(self._topics))
            except Exception:
                log.exception("events cannot be read")
                continue
            for channel, message in newest.items():
                if topic := self._topics.get(channel):
                    topic.put(message)


def _raise_if_cancelled() -> None:
    """Raise a cancellation that was lost in `asyncio.wait_for`, which the Redis client uses: before
    Python 3.12 it returns normally if both happen at the same time."""
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


@asynccontextmanager
async def watch(newest: Newest, *channels: str) -> AsyncIterator[Watcher]:
    """Yield a watcher of these channels."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop) or _hubs.setdefault(loop, Hub(newest))
    watcher = Watcher()
    try:
        await hub.join(watcher, channels)
        yield watcher
    finally:
        hub.leave(watcher, channels)
        if hub.is_idle:
            hub.close()
            _hubs.pop(loop, None)
