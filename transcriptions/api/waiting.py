"""Responses that are sent when a transcription has ended, however long that takes.

Proxies cut connections that are silent for a minute or two. If a transcript takes longer than
KEEP_ALIVE_SECONDS, its response therefore begins before the result is known: with status 200, and
white space at intervals. The status can no longer report a failure after that: then JSON contains
an error, and other formats are cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import connections
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase

from accounts import concurrency
from accounts.models import User
from transcriptions import permissions
from transcriptions.api.errors import ApiError, failure_error
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.service import export
from transcriptions.models import State, Transcription
from transcriptions.realtime.long_responses import long_response
from transcriptions.realtime.streams import ends_within, wait_for_end

WEBVTT = "WEBVTT\n"
WHITE_SPACE = "\n"  # allowed before JSON and subtitles, and between the parts of WebVTT


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent at the end of a transcription."""

    content_type: str
    content: Callable[[Transcription], str]  # raises ApiError if the transcription has failed
    # A body that reports the failure; without one, the response is cut off.
    failure: Callable[[ApiError], str] | None = None
    prefix: str = ""  # with which the content must begin: nothing may come before it


def export_answer(extension: str, failure_status: int, content_type: str = "") -> Answer:
    """The whole transcript as an export of text. See `completed` for `failure_status`."""

    def content(row: Transcription) -> str:
        return export(completed(row, failure_status), extension).decode()

    prefix = WEBVTT if extension == "vtt" else ""
    return Answer(content_type or EXPORTERS[extension].media_type, content, prefix=prefix)


def completed(row: Transcription, failure_status: int) -> Transcription:
    """The row, if its transcript is complete. Raises ApiError, with the status `failure_status` if
    the recording caused the failure."""
    if row.state != State.COMPLETED:
        raise failure_error(row.error_code, row.error_message, failure_status)
    return row


class CutOff(Exception):
    """Raised when a response that has begun cannot be completed. The server closes the
    connection."""


def answer_at_end(
    user: User, create: Callable[[], Transcription], answer: Answer
) -> HttpResponseBase:
    """Create a transcription, wait until it has ended, and send the response.

    Raises what `create` raises, ApiError, Http404, TooManyParallel.
    """
    with concurrency.streams.hold(user):
        row = create()
        connections.close_all()  # no database connection is needed while waiting
        seconds = settings.KEEP_ALIVE_SECONDS or None
        has_ended = async_to_sync(ends_within)(row.id, seconds)
    if has_ended:
        row = permissions.transcription_for(user, row.id)
        return HttpResponse(answer.content(row), content_type=answer.content_type)
    return long_response(user, _late(user, row, answer), answer.content_type)


async def _late(user: User, row: Transcription, answer: Answer) -> AsyncGenerator[str]:
    yield answer.prefix or WHITE_SPACE
    end = asyncio.ensure_future(wait_for_end(row.id))
    try:
        while not (await asyncio.wait([end], timeout=settings.KEEP_ALIVE_SECONDS))[0]:
            yield WHITE_SPACE
        end.result()
    finally:
        end.cancel()
    content = database_sync_to_async(_late_content, thread_sensitive=False)
    yield await content(user, row, answer)


def _late_content(user: User, row: Transcription, answer: Answer) -> str:
    try:
        content = answer.content(permissions.transcription_for(user, row.id))
    except (ApiError, Http404) as error:
        if answer.failure is None:
            raise CutOff(str(error)) from error
        known = error if isinstance(error, ApiError) else ApiError(404, "not_found", str(error))
        return answer.failure(known)
    return content.removeprefix(answer.prefix)
