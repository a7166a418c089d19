"""Entries of uploads and edits in the activity log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts import audit_log
from accounts.models import Action, AuditEvent, User
from transcodio_site.testing import Media
from transcriptions.models import Transcription

pytestmark = pytest.mark.django_db(transaction=True)


KEY: dict[str, Any] = {"headers": {"Idempotency-Key": "one"}, "REMOTE_ADDR": "192.0.2.7"}


def events(action: Action) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action).order_by("id"))


def upload(api: Client, media: Media) -> str:
    """Upload a recording; return its id."""
    with media.speech("talk.mp3", 1).open("rb") as file:
        response = api.post("/api/transcriptions", {"file": file}, **KEY)
    assert response.status_code == 202
    return str(response.json()["id"])


def patch(api: Client, row: Transcription, text: str) -> None:
    url = f"/api/transcriptions/{row.id}/segments/1"
    assert api.patch(url, {"text": text}, content_type="application/json").status_code == 200


def test_upload_is_recorded_once_with_the_ip_address(api: Client, media: Media) -> None:
    assert upload(api, media) == upload(api, media)  # the second one is a retry
    (event,) = events(Action.UPLOADED)
    assert (str(event.recording), event.address) == (upload(api, media), "192.0.2.7")
    assert event.detail == ""  # never its title


def test_edits_are_recorded_once_an_hour(
    api: Client, finished: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("One.", "Two.", "Three."):
        patch(api, finished, text)
    (event,) = events(Action.EDITED)
    assert (event.recording, event.address, event.actor) == (finished.id, "127.0.0.1", None)
    monkeypatch.setattr(audit_log, "EDITS_INTERVAL", timedelta(0))
    patch(api, finished, "Four.")
    assert len(events(Action.EDITED)) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("edits", {"changes": [{"from": 1, "to": 1, "segments": []}]}),
        ("speakers/assign", {"parts": [{"segment": 1}], "speaker": 1}),
        ("import", None),
    ],
)
def test_every_kind_of_edit_is_recorded(
    api: Client, finished: Transcription, path: str, body: Any
) -> None:
    url = f"/api/transcriptions/{finished.id}/{path}"
    sent = {"data": body, "content_type": "application/json"}
    if body is None:
        sent = {"data": "Sentence 1. Sentence 2.", "content_type": "text/plain"}
        url += "?force=true"
    response = api.post(url, **sent)
    assert response.status_code == 200, response.content
    assert len(events(Action.EDITED)) == 1


def test_refused_edit_is_not_recorded(api: Client, finished: Transcription) -> None:
    url = f"/api/transcriptions/{finished.id}/segments/99"
    assert api.patch(url, {"text": "A"}, content_type="application/json").status_code == 404
    assert api.post(f"/api/transcriptions/{finished.id}/edits/undo").status_code == 409
    assert not events(Action.EDITED)


def test_edit_of_somebody_else_is_recorded_apart(
    alice: User, bob: User, finished: Transcription, rf: Any
) -> None:
    for user in (alice, bob, bob, alice):
        request = rf.post("/")
        request.user = user
        audit_log.record_edit(request, alice.pk, finished.id)
    assert [event.actor for event in events(Action.EDITED)] == [None, bob]


def test_edits_and_uploads_are_in_the_activity_page(
    alice: User, client: Client, api: Client, media: Media, finished: Transcription
) -> None:
    upload(api, media)
    patch(api, finished, "One.")
    client.force_login(alice)
    page = client.get("/settings/activity/").content.decode()
    assert "<strong>Transcript edited</strong>" in page
    assert "<strong>Recording added</strong>" in page
    assert finished.title in page


def test_uploads_and_edits_of_a_deleted_account_are_pseudonymous(
    alice: User, api: Client, media: Media, finished: Transcription
) -> None:
    upload(api, media)
    patch(api, finished, "One.")
    audit_log.pseudonymize(alice.pk)
    for action in (Action.UPLOADED, Action.EDITED):
        (event,) = events(action)
        assert (event.user, event.recording, event.address) == (None, None, None)
