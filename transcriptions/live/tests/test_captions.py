"""Captions of live sessions: who can read them, for how long, and what they contain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.http import Http404
from django.test import Client

from accounts.models import User
from transcriptions.exceptions import WrongState
from transcriptions.live import captions, sessions
from transcriptions.live.sessions import LiveParams
from transcriptions.models import Priority, State, Transcription
from transcriptions.models import Segment as StoredSegment
from transcriptions.realtime import streams
from transcriptions.realtime.publisher import publisher
from transcriptions.schemas.events import PartialEvent, ProgressEvent, final_event
from transcriptions.testing import set_state

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def row(alice: User, folders: None) -> Transcription:
    """Alice's live recording."""
    params = LiveParams(title="Town hall")
    row = sessions.open_session(alice, None, params).transcription
    Transcription.objects.filter(pk=row.pk).update(model="scripted-1", language="en")
    row.refresh_from_db()
    return row


def say(row: Transcription, number: int, start: float, text: str) -> StoredSegment:
    return StoredSegment.objects.create(
        transcription=row, number=number, start=start, end=start + 2, text=text
    )


def url(row: Transcription) -> str:
    return f"/api/transcriptions/{row.id}/captions"


def share(browser: Client, row: Transcription) -> str:
    """Share the captions. Return the path of their page."""
    link: str = browser.post(url(row)).json()["url"]
    return "/" + link.split("/", 3)[3]


async def next_event(lines: AsyncGenerator[bytes]) -> tuple[str, Any]:
    """The name and the content of the next event."""
    async for line in lines:
        fields = dict(each.split(": ", 1) for each in line.decode().splitlines() if ": " in each)
        if "event" in fields:
            return fields["event"], json.loads(fields["data"])
    return "", None


def test_link_is_the_same_until_it_is_withdrawn(browser: Client, row: Transcription) -> None:
    assert browser.get(url(row)).json() == {"url": None}
    path = share(browser, row)
    assert share(browser, row) == path
    assert browser.get(url(row)).json()["url"].endswith(path)
    assert browser.delete(url(row)).status_code == 204
    assert browser.get(url(row)).json() == {"url": None}
    assert share(browser, row) != path


@pytest.mark.covers("attack", "Someone without the link tries to read the captions of others")
def test_page_is_for_whoever_has_the_link(browser: Client, row: Transcription) -> None:
    path = share(browser, row)
    response = Client().get(path)
    assert response.status_code == 200
    assert "Town hall" in response.content.decode()
    assert "alice" not in response.content.decode()
    assert not response.cookies
    for other in ("/captions/None/", "/captions/x/", path[:-2] + "/", path.upper()):
        wrong = Client().get(other)
        assert wrong.status_code == 404
        assert "Town hall" not in wrong.content.decode()
    for answer in (response, Client().get("/captions/x/events/")):
        assert answer["Referrer-Policy"] == "no-referrer"
        assert "noindex" in answer["X-Robots-Tag"]
        assert "no-store" in answer["Cache-Control"]


@pytest.mark.covers("attack", "The link of captions is used after it was withdrawn")
def test_withdrawn_link_opens_nothing(browser: Client, row: Transcription) -> None:
    path = share(browser, row)
    browser.delete(url(row))
    assert Client().get(path).status_code == 404
    assert Client().get(f"{path}events/").status_code == 404


@pytest.mark.parametrize("change", ["completed", "recorded", "suspended"])
def test_link_ends_with_the_session(browser: Client, row: Transcription, change: str) -> None:
    path = share(browser, row)
    if change == "completed":
        set_state(State.COMPLETED)
    elif change == "recorded":
        Transcription.objects.update(priority=Priority.INTERACTIVE)
    else:
        User.objects.update(is_active=False)
    assert Client().get(path).status_code == 404
    assert Client().get(f"{path}events/").status_code == 404


def test_only_live_sessions_are_shared(browser: Client, row: Transcription, alice: User) -> None:
    upload = Transcription.objects.create(owner=alice, title="a", source="a", source_bytes=1)
    assert browser.post(url(upload)).status_code == 409
    set_state(State.COMPLETED, Transcription.objects.filter(pk=row.pk))
    response = browser.post(url(row))
    assert (response.status_code, response.json()["code"]) == (409, "not_live")
    with pytest.raises(WrongState):
        captions.share(Transcription.objects.get(pk=row.pk))
    with pytest.raises(Http404):
        captions.session_for("None")


def test_newcomers_see_the_last_minutes(row: Transcription) -> None:
    assert captions.recent(row) == streams.BEFORE_FIRST_EVENT
    for number, start in enumerate((0, 10, 150, 250, 300), start=1):
        say(row, number, start, f"Sentence {number}.")
    assert captions.recent(row) == 2


def test_readers_get_the_text_until_the_link_is_withdrawn(row: Transcription) -> None:
    key = captions.share(row)
    say(row, 1, 0, "Good morning.")

    async def read() -> list[tuple[str, Any]]:
        session = await sync_to_async(captions.session_for)(key)
        found = []
        async with aclosing(captions.lines(key, session, -1)) as lines:
            found.append(await next_event(lines))
            partial = PartialEvent(id=1, text="And welcome to", tentative="to")
            found.append(await _published(row, partial, lines))
            segment = await sync_to_async(say)(row, 2, 3, "And welcome.")
            found.append(await _published(row, ProgressEvent.of(segment), lines))
            ending = asyncio.create_task(next_event(lines))
            await asyncio.sleep(0)
            await sync_to_async(captions.withdraw)(row)
            found.append(await ending)
        return found

    assert asyncio.run(_closing(read())) == [
        ("text", {"text": "Good morning."}),
        ("partial", {"text": "And welcome to", "tentative": "to"}),
        ("text", {"text": "And welcome."}),
        ("end", {}),
    ]


def test_readers_are_told_that_it_is_complete(row: Transcription) -> None:
    key = captions.share(row)
    say(row, 1, 0, "Good night.")

    async def read() -> list[tuple[str, Any]]:
        session = await sync_to_async(captions.session_for)(key)
        async with aclosing(captions.lines(key, session, -1)) as lines:
            first = await next_event(lines)
            await sync_to_async(set_state)(State.COMPLETED)
            done = await sync_to_async(Transcription.objects.get)()
            return [first, await _published(row, final_event(done, 1), lines)]

    assert asyncio.run(_closing(read())) == [("text", {"text": "Good night."}), ("end", {})]


async def _published(row: Transcription, event: Any, lines: AsyncGenerator[bytes]) -> Any:
    """What connected readers get when this event is published."""
    streams.publish(row.id, event)
    await sync_to_async(publisher.flush)()
    return await next_event(lines)


async def _closing(work: Any) -> Any:
    await sync_to_async(connections.close_all)()  # another test may have ended it
    try:
        return await work
    finally:
        await sync_to_async(connections.close_all)()


def test_number_of_readers_is_limited(browser: Client, row: Transcription, settings: Any) -> None:
    settings.MAX_CAPTIONS_PER_ADDRESS = 0
    response = Client().get(f"{share(browser, row)}events/")
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
