"""Rows of the library that are updated while recordings are processed."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from transcriptions.models import State, Transcription
from transcriptions.testing import set_state

pytestmark = pytest.mark.django_db(transaction=True)


def create(owner: User, count: int) -> list[Transcription]:
    fields: dict[str, Any] = {"source": "a.source", "source_bytes": 1}
    return [Transcription.objects.create(owner=owner, title=f"{n}", **fields) for n in range(count)]


def poll(client: Client, rows: list[Transcription]) -> str:
    response = client.get("/transcriptions/rows/", {"id": [str(row.id) for row in rows]})
    assert response.status_code == 200
    return response.content.decode()


def test_one_request_updates_all_rows_with_few_queries(browser: Client, alice: User) -> None:
    rows = create(alice, 5)
    poll(browser, rows)
    with CaptureQueriesContext(
        connection,
    ) as one:
        poll(browser, rows[:1])
    with CaptureQueriesContext(connection) as all_rows:
        html = poll(browser, rows)
    assert len(all_rows) == len(one)
    assert html.count('hx-swap-oob="true"') == 5
    assert not [q for q in all_rows if q["sql"].startswith(("INSERT", "UPDATE"))]


def test_polls_are_not_session_activity(browser: Client, alice: User) -> None:
    rows = create(alice, 1)
    browser.get("/")
    seen = UserSession.objects.get(user=alice).last_seen_at
    poll(browser, rows)
    assert UserSession.objects.get(user=alice).last_seen_at == seen
    browser.get("/")
    assert UserSession.objects.get(user=alice).last_seen_at > seen


def test_polling_ends_with_the_last_recording(browser: Client, alice: User) -> None:
    rows = create(alice, 2)
    assert "every 2s" in browser.get("/").content.decode()
    set_state(State.CANCELLED, Transcription.objects.filter(id=rows[0].id))
    html = poll(browser, rows)
    assert html.count('name="id"') == 1
    assert "every 2s" in html
    set_state(State.CANCELLED)
    html = poll(browser, rows[1:])
    assert 'data-state="cancelled"' in html
    assert "every 2s" not in html
    assert "every 2s" not in browser.get("/").content.decode()


@pytest.mark.covers("attack", "A user requests rows of another user's library")
def test_rows_of_others_and_invalid_ids_are_left_out(
    browser: Client, alice: User, bob: User
) -> None:
    (foreign,) = create(bob, 1)
    response = browser.get("/transcriptions/rows/", {"id": [str(foreign.id), "x", "0" * 32]})
    assert response.status_code == 200
    assert "data-transcription" not in response.content.decode()
