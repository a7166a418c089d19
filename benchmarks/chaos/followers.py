"""Clients that follow a recording as programs (SSE) and the page (WebSocket) do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

from benchmarks.chaos.site import RETRY_S, Site

Event = dict[str, Any]


class Follower(threading.Thread):
    """Receives all events of a recording, and connects again until it is complete."""

    def __init__(self, site: Site, transcription_id: str, uploaded_at: float) -> None:
        super().__init__(daemon=True)
        self.site = site
        self.id = transcription_id
        # Times of the upload and of each event, on the monotonic clock.
        self.times = [uploaded_at]
        self.numbers: list[int] = []  # of the segments
        self.failed = threading.Event()
        self.complete = threading.Event()
        self.stopped = False

    def run(self) -> None:
        """Follow until the transcript is complete."""
        while not self.complete.is_set() and not self.stopped:
            with suppress(httpx.HTTPError, WebSocketException, OSError):
                for event in self.events():
                    self._receive(event)
            time.sleep(RETRY_S)

    def events(self) -> Iterator[Event]:
        """Events of one connection, after the last number."""
        raise NotImplementedError

    @property
    def last(self) -> int:
        """The number of the last segment; 0 before the first."""
        return self.numbers[-1] if self.numbers else 0

    @property
    def longest_wait(self) -> float:
        """Seconds between two successive events."""
        return max((b - a for a, b in zip(self.times, self.times[1:], strict=False)), default=0.0)

    def _receive(self, event: Event) -> None:
        self.times.append(time.monotonic())
        match event["type"]:
            case "progress":
                self.numbers.append(event["id"])
            case "error":
                self.failed.set()
            case "complete":
                self.complete.set()


class SseFollower(Follower):
    """Follows over Server-Sent Events, with `Last-Event-ID`."""

    def events(self) -> Iterator[Event]:
        """See Follower."""
        path = f"/api/transcriptions/{self.id}/events"
        headers = {"Last-Event-ID": str(self.last)} if self.numbers else {}
        with self.site.client.stream("GET", path, headers=headers) as response:
            for line in response.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))


class WebSocketFollower(Follower):
    """Follows over the WebSocket of the transcript page."""

    def events(self) -> Iterator[Event]:
        """See Follower."""
        url = self.site.stack.url.replace("http", "ws") + f"/ws/transcriptions/{self.id}/"
        with connect(
            f"{url}?after={self.last}" if self.numbers else url,
            origin=Origin(self.site.stack.url),
            additional_headers={"Cookie": self.site.session_cookie()},
            open_timeout=30,
            proxy=None,
        ) as socket:
            for message in socket:
                yield json.loads(message)
