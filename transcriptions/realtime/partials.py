"""Words shown before their segment is whole: never stored, and only as fast as eyes can follow."""

from __future__ import annotations

import threading
import uuid

from gpu.types import Partial
from transcriptions.realtime import streams
from transcriptions.schemas.events import PartialEvent

PUBLISH_INTERVAL_S = 0.2  # seconds between two looks at early words


class PartialPublisher:
    """Publishes the latest partial of one recording, at most once per PUBLISH_INTERVAL_S.

    They carry the number of the segment that they follow, so whoever has gone on meanwhile drops
    them: it does no harm if they come late.
    """

    def __init__(self, id: uuid.UUID, after: int) -> None:
        self._id, self._after = id, after
        self._latest: PartialEvent | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def show(self, partial: Partial) -> None:
        """Soon, unless others come first."""
        with self._lock:
            self._latest = PartialEvent(id=self._after, text=partial.text)
            if self._timer is None:
                self._timer = threading.Timer(PUBLISH_INTERVAL_S, self._announce)
                self._timer.daemon = True
                self._timer.start()

    def replaced_by(self, number: int) -> None:
        """The segment with that number has them now."""
        with self._lock:
            self._after, self._latest = number, None

    def _announce(self) -> None:
        with self._lock:
            event, self._latest, self._timer = self._latest, None, None
        if event:
            streams.publish(self._id, event)
