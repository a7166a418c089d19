"""Partial results: text of a segment before it is complete. Published at a limited rate, not
stored."""

from __future__ import annotations

import threading
import uuid

from gpu.types import Partial
from transcriptions.realtime import streams
from transcriptions.schemas.events import PartialEvent

PUBLISH_INTERVAL_S = 0.2


class PartialPublisher:
    """Publishes the latest partial of one transcription, at most once per PUBLISH_INTERVAL_S.

    A partial carries the number of the segment before it. Subscribers that have received a later
    segment drop it, so a late partial is harmless.
    """

    def __init__(self, transcription_id: uuid.UUID, after: int) -> None:
        self._transcription_id, self._after = transcription_id, after
        self._latest: PartialEvent | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def schedule(self, partial: Partial) -> None:
        """Publish the partial at the end of the interval, unless a newer one replaces it."""
        with self._lock:
            self._latest = PartialEvent(id=self._after, text=partial.text)
            if self._timer is None:
                self._timer = threading.Timer(PUBLISH_INTERVAL_S, self._publish)
                self._timer.daemon = True
                self._timer.start()

    def discard(self, number: int) -> None:
        """Drop the pending partial, because segment `number` now contains its text."""
        with self._lock:
            self._after, self._latest = number, None

    def _publish(self) -> None:
        with self._lock:
            event, self._latest, self._timer = self._latest, None, None
        if event:
            streams.publish(self._transcription_id, event)
