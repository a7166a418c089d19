"""The items of a Realtime session, derived from the events of its live session.

An item is what is said in one turn. Either the server ends turns when there is silence, or only the
client does, by commits. Words belong to the oldest incomplete item: the client may have committed
audio that the engine has not processed yet.

Words are sent when they are firm, so that nothing has to be taken back: the deltas of an item add
up to its transcript.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gpu.joining import separator
from transcriptions.api.openai.responses import logprobs
from transcriptions.schemas.events import (
    Event,
    MetadataEvent,
    PartialEvent,
    ProgressEvent,
    TurnEvent,
)

Json = dict[str, Any]

TRANSCRIPTION = "conversation.item.input_audio_transcription"


def new_id(prefix: str) -> str:
    """An id as OpenAI writes them."""
    return f"{prefix}_{secrets.token_hex(12)}"


@dataclass(slots=True)
class Item:
    """Times are in milliseconds since the first audio of the connection. `commit` is the number of
    the client's commit that ends it; None: silence ends it, or nothing has yet. Nothing of a
    cleared item is sent."""

    start_ms: int
    end_ms: int = 0
    commit: int | None = None
    is_cleared: bool = False
    text: str = ""
    words: list[Json] = field(default_factory=list)
    id: str = field(default_factory=lambda: new_id("item"))


@dataclass(slots=True)
class Conversation:
    """The state that all live sessions of a connection share."""

    last_item_id: str | None = None
    is_beta: bool = False
    has_logprobs: bool = False  # whether the client wants them


class Items:
    """The items of one live session. All methods yield events for the client."""

    def __init__(
        self, conversation: Conversation, padding_ms: int | None, start_ms: int = 0
    ) -> None:
        """`padding_ms` is how much earlier a turn starts than its speech; None: only the client
        ends turns. The first sample is at `start_ms`."""
        self._conversation, self._padding_ms = conversation, padding_ms
        self._items = deque[Item]()  # incomplete items
        self._start_ms = start_ms
        self._committed_ms = start_ms  # up to which all audio belongs to items that have ended
        self._commits = 0
        self._is_speaking = False
        self._heard = ""  # the text sent so far of the incomplete segment
        self._language = ""

    # --- What the client does -------------------------------------------------------------------

    @property
    def wait_for_commit(self) -> bool:
        """Whether an item that the client has committed is incomplete."""
        return any(item.commit for item in self._items)

    def uncommitted_ms(self, end_ms: int) -> int:
        """How much audio belongs to no ended item, if the audio ends at `end_ms`."""
        return end_ms - self._committed_ms

    def commit(self, end_ms: int) -> Iterator[Json]:
        """The client ends a turn."""
        yield from self._announced(self._closed(end_ms))

    def clear(self, end_ms: int) -> Iterator[Json]:
        """The client discards the audio that it has not committed."""
        self._closed(end_ms).is_cleared = True
        yield {"type": "input_audio_buffer.cleared"}

    def _closed(self, end_ms: int) -> Item:
        """The newest item, which the next commit ends."""
        self._commits += 1
        if not self._items or self._items[-1].commit is not None:
            self._items.append(Item(self._committed_ms))
        item = self._items[-1]
        item.commit, item.end_ms = self._commits, end_ms
        self._committed_ms = end_ms
        return item

    # --- What the engine recognizes -------------------------------------------------------------

    def follow(self, event: Event) -> Iterator[Json]:
        """The events that follow from an event of the live session."""
        match event:
            case MetadataEvent():
                self._language = event.language
            case PartialEvent():
                yield from self._hear(event.text.removesuffix(event.tentative).rstrip())
            case ProgressEvent():
                self._language = event.segment.language or self._language
                yield from self._hear(event.segment.text)
                self._heard = ""
                self._current().words += [word.model_dump() for word in event.segment.words]
            case TurnEvent(state="started"):
                yield from self._turn_started(event)
            case TurnEvent(commit=None):
                yield from self._turn_ended(self._ms(event.time))
            case TurnEvent():
                yield from self._commit_heard(event.commit or 0)

    def finish(self, end_ms: int) -> Iterator[Json]:
        """All audio was processed: complete the remaining items."""
        yield from self._turn_ended(end_ms)
        yield from self._commit_heard(self._commits)
        for item in self._items:  # the client has not committed it, and the session has ended
            item.end_ms = end_ms
            yield from self._announced(item)
            yield self._completed(item)
        self._items.clear()

    def fail(self, error: Json) -> Iterator[Json]:
        """The engine has failed: report this for the remaining items."""
        for item in self._items:
            if not item.is_cleared:
                yield self._about(item, "failed") | {"error": error}
        self._items.clear()

    def _ms(self, time_s: float) -> int:
        return self._start_ms + round(time_s * 1000)

    def _current(self) -> Item:
        if not self._items:
            self._items.append(Item(self._committed_ms))
        return self._items[0]

    def _hear(self, text: str) -> Iterator[Json]:
        """The firm text of a segment has grown."""
        new = text[len(self._heard) :]
        if not new:
            return
        item = self._current()
        delta = new if self._heard else separator(item.text, new) + new
        item.text += delta
        self._heard = text
        if not item.is_cleared:
            yield self._about(item, "delta") | {"delta": delta}

    def _turn_started(self, event: TurnEvent) -> Iterator[Json]:
        start_ms = self._ms(event.time)
        if self._padding_ms is None:
            return
        if self._is_speaking:  # the message about its end was lost
            yield from self._turn_ended(start_ms)
        self._is_speaking = True
        item = self._current()
        if not item.is_cleared:
            item.start_ms = max(item.start_ms, start_ms - self._padding_ms)
            yield {
                "type": "input_audio_buffer.speech_started",
                "audio_start_ms": item.start_ms,
                "item_id": item.id,
            }

    def _turn_ended(self, end_ms: int) -> Iterator[Json]:
        """Silence ended a turn."""
        if not self._is_speaking:
            return
        self._is_speaking = False
        item = self._current()
        if not item.is_cleared:
            yield {
                "type": "input_audio_buffer.speech_stopped",
                "audio_end_ms": end_ms,
                "item_id": item.id,
            }
        if item.commit is not None:
            return  # it continues up to the commit
        item.end_ms = end_ms
        self._committed_ms = max(self._committed_ms, end_ms)
        self._items.popleft()
        yield from self._announced(item)
        yield self._completed(item)

    def _commit_heard(self, number: int) -> Iterator[Json]:
        """The engine has processed all audio before a commit."""
        self._is_speaking = False
        while self._items and 0 < (self._items[0].commit or 0) <= number:
            item = self._items.popleft()
            if not item.is_cleared:
                yield self._completed(item)

    # --- Events ---------------------------------------------------------------------------------

    def _announced(self, item: Item) -> Iterator[Json]:
        """The item is part of the conversation."""
        previous = {"previous_item_id": self._conversation.last_item_id}
        self._conversation.last_item_id = item.id
        yield {"type": "input_audio_buffer.committed", "item_id": item.id} | previous
        content = {
            "id": item.id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        names = ("created",) if self._conversation.is_beta else ("added", "done")
        for name in names:
            yield {"type": f"conversation.item.{name}", "item": content} | previous

    def _completed(self, item: Item) -> Json:
        seconds = max(0, item.end_ms - item.start_ms) / 1000
        event = self._about(item, "completed") | {
            "transcript": item.text,
            "usage": {"type": "duration", "seconds": seconds},
        }
        if self._language:
            event["languages"] = [{"code": self._language}]
        if self._conversation.has_logprobs:
            event |= logprobs(item.words)
        return event

    @staticmethod
    def _about(item: Item, name: str) -> Json:
        return {"type": f"{TRANSCRIPTION}.{name}", "item_id": item.id, "content_index": 0}
