"""Live recordings in the library, on their page and in the admin site."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from transcriptions.live import sessions
from transcriptions.live.sessions import LiveParams
from transcriptions.models import LiveSession, LiveState, Priority, State, Transcription
from transcriptions.testing import set_state

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def row(alice: User, folders: None) -> Transcription:
    """Alice's live recording, on which a worker is working."""
    row = sessions.open_session(alice, None, LiveParams(title="Town hall")).transcription
    set_state(State.TRANSCRIBING)
    return Transcription.objects.get(pk=row.pk)


def page(browser: Client, row: Transcription) -> str:
    return browser.get(f"/transcriptions/{row.pk}/").content.decode()


@pytest.mark.parametrize(
    ("session", "state"),
    [
        ({}, LiveState.RECORDING),
        ({"parked_at": timezone.now()}, LiveState.PAUSED),
        ({"ended_at": timezone.now()}, LiveState.FINISHING),
    ],
)
def test_live_recording_says_so(
    browser: Client, row: Transcription, session: dict[str, Any], state: LiveState
) -> None:
    LiveSession.objects.update(**session)
    set_state(State.PREPARED if "parked_at" in session else State.TRANSCRIBING)
    badge = f'data-state="{state.value}">{state.label}<'
    assert badge in browser.get("/").content.decode()
    assert badge in browser.get("/transcriptions/rows/", {"id": str(row.pk)}).content.decode()
    assert badge in page(browser, row)


def test_page_offers_what_makes_sense_while_live(browser: Client, row: Transcription) -> None:
    html = page(browser, row)
    assert "Stop recording" in html
    for absent in ('class="player', "/recognize/", "/speakers/detect/", 'id="progress"', "queue/"):
        assert absent not in html
    answer = browser.get(f"/api/transcriptions/{row.pk}").json()
    assert (answer["priority"], answer["queue_position"]) == ("live", None)
    assert browser.get(f"/api/transcriptions/{row.pk}/audio").status_code == 404
    for command in ("recognize", "retry", "speakers/detect"):
        url = f"/api/transcriptions/{row.pk}/{command}"
        assert browser.post(url, {}, content_type="application/json").status_code in (409, 410)


def test_finished_recording_is_an_ordinary_one(browser: Client, row: Transcription) -> None:
    Transcription.objects.update(priority=Priority.INTERACTIVE, source="a.source")
    set_state(State.COMPLETED)
    html = page(browser, row)
    assert 'data-state="completed"' in html
    assert "Stop recording" not in html
    assert 'class="player' in html


def test_admin_site_shows_live_recordings(carol: User, row: Transcription) -> None:
    client = Client()
    client.force_login(carol)
    assert ">Live<" in client.get("/admin/transcriptions/transcription/").content.decode()
