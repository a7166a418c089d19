"""Partial results: text of a segment before it is complete. Published at a limited rate, not
stored."""

from __future__ import annotations

import uuid

from gpu.types import Partial
from transcriptions.realtime.messages import event_channel
from transcriptions.realtime.publisher import publisher
from transcriptions.schemas.events import PartialEvent

PUBLISH_INTERVAL_S = 0.2


class PartialPublisher:
    """Publishes the latest partial of one transcription, at most once per PUBLISH_INTERVAL_S.

    A partial carries the number of the segment before it. Subscribers that have received a later
    segment drop it, so a late partial is harmless.
    """

    def __init__(self, transcription_id: uuid.UUID, after: int) -> None:
        self._channel, self.after = event_channel(transcription_id), after

    def schedule(self, partial: Partial) -> None:
        """Publish the partial at the end of the interval, unless a newer one replaces it."""
        tentative = Partial(partial.words[len(partial.words) - partial.tentative :]).text
        event = PartialEvent(id=self.after, text=partial.text, tentative=tentative)
        publisher.send_delayed(self._channel, PUBLISH_INTERVAL_S, self._channel, event.as_json)

    def discard(self, number: int) -> None:
        """Drop the pending partial, because segment `number` now contains its text."""
        self.after = number
        publisher.discard(self._channel)
