"""Many watchers in one process: python -m benchmarks.watchers.client

Reads one JSON line with the port and what to watch, opens all connections, and prints `ready`. On
the next line it prints what it has received. It reads bytes rather than messages, so that it needs
much less CPU than the server under test, and it reports its own delay.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Any

OPENING_AT_A_TIME = 25
JOB_BYTES = 1 << 25  # the longest line of a job
LONGEST_MATCH = 64
LAG_INTERVAL_S = 0.05  # between two measurements of the event loop
PING_BYTES = 12  # of the payload, which Autobahn chooses
PING, MASKED_PONG = b"\x89\x0c", b"\x8a\x8c\0\0\0\0"


class Watcher(asyncio.Protocol):
    """One connection. Records when each segment arrived."""

    first_event: re.Pattern[bytes]
    segment: re.Pattern[bytes]

    def __init__(self, request: bytes, recording: int, received: list[Any]) -> None:
        self.request, self.recording, self.received = request, recording, received
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self.transport: Any = transport
        transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Find the segments in the received bytes."""
        now = time.monotonic()
        text = self._rest + data
        if not self.opened.done() and self.first_event.search(text):
            self.opened.set_result(None)
        end = 0
        for match in self.segment.finditer(text):
            self.received.append((self.recording, int(match[1]), now))
            end = match.end()
        self._rest = text[max(end, len(text) - LONGEST_MATCH) :]

    def connection_lost(self, error: Exception | None) -> None:
        """The server has closed the connection, or the process ends."""
        self.lost = True
        if not self.opened.done():
            self.opened.set_exception(error or ConnectionError(repr(self._rest)))


class SseWatcher(Watcher):
    """Server-Sent Events, with a token."""

    first_event = re.compile(rb"event: metadata")
    segment = re.compile(rb"id: (\d+)\nevent: progress")


class WebSocketWatcher(Watcher):
    """The WebSocket of the page, with a session. Answers pings, otherwise the server would
    disconnect."""

    first_event = re.compile(rb'"type":"metadata"')
    segment = re.compile(rb'"type":"progress","id":(\d+),')

    def data_received(self, data: bytes) -> None:
        """See Watcher. A ping is a frame that arrives as a whole."""
        if (start := data.find(PING)) >= 0:
            payload = data[start + len(PING) :][:PING_BYTES]
            self.transport.write(MASKED_PONG + payload)
        super().data_received(data)


async def measure_lag(received: list[Any], lags: list[float]) -> None:
    """The scheduling delay of this process since the first segment, because of its own load and
    that of the machine. The measured delays contain it."""
    while True:
        due = time.monotonic() + LAG_INTERVAL_S
        await asyncio.sleep(LAG_INTERVAL_S)
        if received:
            lags.append(time.monotonic() - due)


async def main() -> None:
    """See the module."""
    reader = asyncio.StreamReader(limit=JOB_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    job = json.loads(await reader.readline())
    received: list[Any] = []
    opening = asyncio.Semaphore(OPENING_AT_A_TIME)

    async def open_one(watch: dict[str, Any]) -> Watcher:
        kind = SseWatcher if watch["kind"] == "sse" else WebSocketWatcher
        request = watch["request"].encode()
        async with opening:
            _, watcher = await loop.create_connection(
                lambda: kind(request, watch["recording"], received), "127.0.0.1", job["port"]
            )
            await watcher.opened
            return watcher

    watchers = await asyncio.gather(*map(open_one, job["watches"]))
    print("ready", flush=True)
    lags: list[float] = []
    measuring = asyncio.create_task(measure_lag(received, lags))
    await reader.readline()
    measuring.cancel()
    lost = sum(watcher.lost for watcher in watchers)
    print(json.dumps({"received": received, "lost": lost, "lags": lags}), flush=True)
    await reader.readline()


if __name__ == "__main__":
    asyncio.run(main())
