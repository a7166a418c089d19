"""Carries the audio of live sessions to their containers: a queue at Modal, with a partition for
each call.

An item is `(number, content)`, numbered from 0. The content is 16-bit PCM at 24 kHz (empty: only a
sign of life of the caller), the number of a Commit, or None after the last chunk.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import modal
import numpy as np

from gpu import config
from gpu.pcm import SAMPLE_RATE_HZ
from gpu.types import Commit, Unreachable

if TYPE_CHECKING:
    from gpu.types import Samples

log = logging.getLogger(__name__)

Content = bytes | int | None
Item = tuple[int, Content]

MAX_ITEM_BYTES = 20 * SAMPLE_RATE_HZ  # Modal allows 1 MiB; ten seconds
MAX_ITEMS = 4  # of one request
MAX_WAITING_ITEMS = 8  # in a container, for its engine; the others wait at Modal
POLL_INTERVAL_S = 0.1  # for which an engine waits for the next chunk
SIGN_INTERVAL_S = 5.0  # between two items if there is no audio
ABANDONED_AFTER_S = 30.0  # without any item
PARTITION_TTL_S = 3600  # if nobody clears it


def _queue() -> modal.Queue:
    return modal.Queue.from_name(config.MODAL_LIVE_AUDIO, create_if_missing=True)


class Outbox:
    """Sends the chunks of one call, in a thread: a request may take long.

    Chunks that arrive during a request are sent together with the next one.
    """

    def __init__(self, fail: Callable[[Exception], None]) -> None:
        """`fail` is called with the error if audio cannot be sent."""
        self._fail = fail
        self._waiting: list[Content] = []
        self._numbers = 0
        self._is_closed = False
        self._changed = threading.Condition()

    @property
    def seconds(self) -> float:
        """Seconds of audio that have not been sent."""
        with self._changed:
            waiting = sum(len(c) for c in self._waiting if isinstance(c, bytes))
        return waiting / 2 / SAMPLE_RATE_HZ

    def put(self, chunk: Samples | Commit | None) -> None:
        """Adds a chunk; None after the last one."""
        with self._changed:
            if chunk is None:
                self._waiting.append(None)
            elif isinstance(chunk, Commit):
                self._waiting.append(chunk.number)
            else:
                self._put_audio(_as_pcm(chunk))
            self._changed.notify_all()

    def _put_audio(self, data: bytes) -> None:
        if self._waiting and isinstance(last := self._waiting[-1], bytes):
            data = last + data
            self._waiting.pop()
        self._waiting += [
            data[start : start + MAX_ITEM_BYTES] for start in range(0, len(data), MAX_ITEM_BYTES)
        ]

    def start(self, call_id: str) -> None:
        """Sends all chunks, those that have arrived and those to come, to the container of that
        call."""
        threading.Thread(target=self._run, args=(call_id,), daemon=True, name="modal-audio").start()

    def close(self) -> None:
        """Sends nothing more, and deletes audio that was not received."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _run(self, call_id: str) -> None:
        try:
            audio = _queue()
            while (items := self._next()) is not None:
                audio.put_many(items, partition=call_id, partition_ttl=PARTITION_TTL_S)
            audio.clear(partition=call_id)
        except Exception as error:
            log.warning("live audio could not be sent: %r", error)
            self._fail(error)

    def _next(self) -> list[Item] | None:
        """Waits for it; None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed, SIGN_INTERVAL_S)
            if self._is_closed:
                return None
            contents = self._waiting[:MAX_ITEMS] or [b""]
            del self._waiting[:MAX_ITEMS]
            first, self._numbers = self._numbers, self._numbers + len(contents)
            return list(enumerate(contents, first))


class Inbox:
    """Receives the chunks of one call, in its container."""

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self._items: queue.SimpleQueue[Item | Exception] = queue.SimpleQueue()

    async def receive(self) -> None:
        """Receive until the last chunk."""
        try:
            audio = _queue()
            while True:
                if self._items.qsize() > MAX_WAITING_ITEMS:
                    await asyncio.sleep(POLL_INTERVAL_S)
                    continue
                for item in await audio.get_many.aio(MAX_ITEMS, partition=self._call_id):
                    self._items.put(item)
                    if item[1] is None:
                        return
        except Exception as error:
            self._items.put(error)

    def chunks(self) -> Iterator[Samples | Commit]:
        """See `LiveAudio`. Raises Unreachable if audio was lost or the caller has disappeared."""
        received_at, expected = time.monotonic(), 0
        while True:
            try:
                item = self._items.get(timeout=POLL_INTERVAL_S)
            except queue.Empty:
                if time.monotonic() - received_at > ABANDONED_AFTER_S:
                    raise Unreachable("no audio comes any more, and no sign of a caller") from None
                yield _as_samples(b"")
                continue
            if isinstance(item, Exception):
                raise Unreachable(f"the audio cannot be received: {item!r}") from item
            number, content = item
            if number != expected:
                raise Unreachable(f"item {expected} of the audio was lost")
            received_at, expected = time.monotonic(), expected + 1
            if content is None:
                return
            yield Commit(content) if isinstance(content, int) else _as_samples(content)


def _as_pcm(samples: Samples) -> bytes:
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes()


def _as_samples(data: bytes) -> Samples:
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
