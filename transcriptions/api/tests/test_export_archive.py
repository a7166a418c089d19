"""The transcripts of several recordings as one ZIP file, over REST."""

from __future__ import annotations

import io
import uuid
import zipfile
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Action, AuditEvent, User
from transcriptions.api.exports import MAX_RECORDINGS
from transcriptions.exports.service import export
from transcriptions.exports.zip_files import LEFT_OUT
from transcriptions.models import Segment, State, Transcription

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/transcriptions/export"


def recording(owner: User, title: str, text: str = "Good morning.") -> Transcription:
    row = Transcription.objects.create(
        owner=owner,
        title=title,
        source_bytes=1,
        state=State.COMPLETED,
        completed_at=timezone.now(),
    )
    Segment.objects.create(transcription=row, number=1, start=0, end=2, text=text)
    return row


def post(api: Client, ids: list[Any], **options: Any) -> Any:
    body = {"ids": [str(each) for each in ids], **options}
    return api.post(URL, body, content_type="application/json")


def files(response: Any) -> dict[str, str]:
    assert response.status_code == 200, response.content
    with zipfile.ZipFile(io.BytesIO(b"".join(response))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_each_transcript_is_a_file_with_a_name_of_its_own(api: Client, alice: User) -> None:
    titles = ("Talk", "talk", "Talk (2)", "a/b", "..")
    rows = [recording(alice, title, f"Number {title}.") for title in titles]
    response = post(api, [row.id for row in rows], format="srt", profile="social", offset=60)
    assert response["Content-Type"] == "application/zip"
    found = files(response)
    names = ["Talk.srt", "talk (2).srt", "Talk (2) (2).srt", "a-b.srt", "recording.srt"]
    assert [*found] == names
    assert all("00:01:0" in content for content in found.values())
    assert "Number talk." in found["talk (2).srt"]
    exported = AuditEvent.objects.filter(action=Action.EXPORTED)
    assert {event.recording for event in exported} == {row.id for row in rows}


def test_files_are_those_of_single_exports(api: Client, alice: User) -> None:
    row = recording(alice, "Talk")
    assert files(post(api, [row.id, row.id])) == {"Talk.txt": export(row, "txt").decode()}


@pytest.mark.covers("attack", "A ZIP export that names recordings of another user")
def test_recordings_without_a_transcript_are_listed(api: Client, alice: User, bob: User) -> None:
    row, foreign, unknown = recording(alice, "Talk"), recording(bob, "Secret"), uuid.uuid4()
    waiting = Transcription.objects.create(owner=alice, title="Waiting", source_bytes=1)
    found = files(post(api, [foreign.id, waiting.id, row.id, unknown]))
    assert [*found] == ["Talk.txt", LEFT_OUT]
    assert found[LEFT_OUT].splitlines() == [
        f"{foreign.id}: there is no such recording.",
        "Waiting: there is no transcript yet.",
        f"{unknown}: there is no such recording.",
    ]
    nothing = post(api, [foreign.id, waiting.id])
    assert (nothing.status_code, nothing.json()["code"]) == (409, "not_completed")


@pytest.mark.parametrize(
    "change",
    [
        {"ids": []},
        {"ids": [str(uuid.uuid4()) for _ in range(MAX_RECORDINGS + 1)]},
        {"ids": "all"},
        {"format": "exe"},
        {"profile": "unknown"},
        {"end": -1},
        {"owner": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_wrong_bodies_are_refused(api: Client, alice: User, change: dict[str, Any]) -> None:
    body = {"ids": [str(recording(alice, "Talk").id)], **change}
    response = api.post(URL, body, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")


def test_body_must_be_an_object(api: Client) -> None:
    assert api.post(URL, '"text"', content_type="application/json").status_code == 422


def test_text_without_a_font_is_listed(api: Client, alice: User) -> None:
    rows = [recording(alice, "Tibetan", "བོད་ཡིག"), recording(alice, "English")]
    with zipfile.ZipFile(
        io.BytesIO(b"".join(post(api, [row.id for row in rows], format="pdf")))
    ) as archive:
        assert archive.namelist() == ["English.pdf", LEFT_OUT]
        assert archive.read(LEFT_OUT).decode().startswith("Tibetan: ")
