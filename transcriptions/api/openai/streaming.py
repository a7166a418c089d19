"""Transcripts as OpenAI streams them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from functools import partial

from channels.db import database_sync_to_async
from django.http import HttpRequest

from accounts.authentication import authenticated_user, is_still_authorized
from gpu.joining import separator
from transcriptions.api.errors import failure_status
from transcriptions.api.openai.errors import error_body
from transcriptions.api.openai.params import TranscriptionParams
from transcriptions.api.openai.responses import (
    Json,
    diarized_segments,
    languages,
    logprobs,
    segment_id,
    to_json,
    token_usage,
)
from transcriptions.models import Transcription
from transcriptions.realtime import streams
from transcriptions.schemas.events import (
    CompleteEvent,
    ErrorEvent,
    Event,
    ProgressEvent,
    SpeakersEvent,
)


async def stream_lines(
    request: HttpRequest, row: Transcription, params: TranscriptionParams
) -> AsyncGenerator[str]:
    """Text deltas. Their concatenation is the whole text, which the last event repeats."""
    stream = _Stream(params)
    is_authorized = partial(is_still_authorized, request)
    events = streams.subscribe_while_authorized(
        is_authorized, authenticated_user(request).pk, row.id
    )
    async with aclosing(events):
        async for event in events:
            if event is None:
                yield ": keep-alive\n\n"
            else:
                if isinstance(event, CompleteEvent):
                    await database_sync_to_async(stream.load)(row.id)
                for message in stream.messages(event):
                    yield f"data: {to_json(message)}\n\n"


class _Stream:
    """Turns our events into OpenAI's. Segments with speakers come before the last event, because
    their speakers can change until then."""

    def __init__(self, params: TranscriptionParams) -> None:
        self._is_diarized = params.response_format == "diarized_json"
        self._names: dict[int, str] = {}  # of speakers, once they are known
        self._model, self._languages = params.model, list[str]()
        self._has_speakers = bool(params.has_speakers)
        self._segments: dict[int, Json] = {}  # whose speakers can change
        self._has_logprobs = params.has_logprobs
        self._text = ""
        self._words: list[Json] = []  # if log probabilities are wanted

    def load(self, transcription_id: uuid.UUID) -> None:
        """Read what is known at the end. Do nothing if the recording was deleted."""
        row = Transcription.objects.filter(id=transcription_id).first()
        if row is not None:
            self._languages = row.languages
            if self._is_diarized:
                self._names = dict(row.speakers.values_list("number", "name"))

    def messages(self, event: Event) -> Iterator[Json]:
        """The messages that follow from one event."""
        match event:
            case ProgressEvent():
                yield from self._segment(event)
            case SpeakersEvent():
                self._change_speakers(event)
            case CompleteEvent():
                for segment in self._segments.values():
                    yield from diarized_segments(segment, self._names)
                # The official types have only tokens here, whatever the model.
                usage = token_usage(event.duration, self._text)
                done = {"type": "transcript.text.done", "text": self._text, "usage": usage}
                done |= languages(self._model, self._languages)
                yield done | logprobs(self._words)
            case ErrorEvent():
                status = failure_status(event.code, 400)
                yield error_body(event.code, event.detail, status=status)

    def _segment(self, event: ProgressEvent) -> Iterator[Json]:
        delta = separator(self._text, event.segment.text) + event.segment.text
        self._text += delta
        words = [word.model_dump() for word in event.segment.words] if self._has_logprobs else []
        self._words += words
        message: Json = {"type": "transcript.text.delta", "delta": delta, **logprobs(words)}
        if not self._is_diarized:
            yield message
            return
        yield message | {"segment_id": segment_id(event.segment.id)}
        segment = event.segment.model_dump()
        if self._has_speakers:
            self._segments[event.id] = segment
        else:
            yield from diarized_segments(segment, {})

    def _change_speakers(self, event: SpeakersEvent) -> None:
        for changed in event.segments:
            if segment := self._segments.get(changed.id):
                segment["speaker"] = changed.speaker
                for word, speaker in zip(segment["words"], changed.words, strict=True):
                    word["speaker"] = speaker
