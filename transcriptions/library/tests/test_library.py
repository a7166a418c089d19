"""The library over REST and as a page: pagination, search and filters, edits, cancel and retry."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.test import Client

from accounts.models import AuditEvent, User
from transcriptions.models import FINISHED, AudioAnalysis, Segment, State, Transcription
from transcriptions.processing import commands, pipeline
from transcriptions.realtime import streams
from transcriptions.testing import Headers, ScriptedEngine, prepare_again, set_state, texts

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def patch(client: Client, path: str, **fields: Any) -> Any:
    return client.patch(path, json.dumps(fields), content_type="application/json")


def titles(client: Client, query: str = "") -> list[str]:
    response = client.get(f"/api/transcriptions{query}")
    assert response.status_code == 200, response.content
    return [item["title"] for item in response.json()["items"]]


def recording(owner: User, title: str, **fields: Any) -> Transcription:
    text = fields.pop("text", "")
    fields = {"source": "recordings/none", "source_bytes": 1, "language": "en"} | fields
    if fields.get("state") in FINISHED:
        fields.setdefault("completed_at", NOON)
    row = Transcription.objects.create(owner=owner, title=title, **fields)
    if text:
        Segment.objects.create(transcription=row, number=1, start=0, end=1, text=text)
    return row


# --- Pagination ---------------------------------------------------------------------------------


def test_cursor_pagination_has_no_gaps_or_duplicates(
    alice: User, api: Client, django_assert_num_queries: Any
) -> None:
    for number in range(7):
        created_at = NOON + timedelta(minutes=number // 2)  # pairs are equal: their ids decide
        recording(alice, str(number), created_at=created_at)
    api.get("/api/usage")  # updates last_used_at of the token
    with django_assert_num_queries(3):  # the token, the page, and the places in the queue
        first = api.get("/api/transcriptions?limit=3").json()
    ids, cursor = [row["id"] for row in first["items"]], first["next_cursor"]
    recording(alice, "New", created_at=NOON + timedelta(days=1))  # would shift offset pagination
    while cursor:
        page = api.get(f"/api/transcriptions?limit=3&cursor={cursor}").json()
        ids += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
    all_rows = api.get("/api/transcriptions").json()["items"]
    assert ids == [row["id"] for row in all_rows if row["title"] != "New"]
    assert len(ids) == 7


def test_detail_page_does_not_query_words(
    alice: User, client: Client, django_assert_max_num_queries: Any
) -> None:
    row = recording(alice, "Talk", text="Good morning.")
    client.force_login(alice)
    with django_assert_max_num_queries(16) as queries:
        assert "Good morning." in client.get(f"/transcriptions/{row.id}/").content.decode()
    [query] = [q["sql"] for q in queries if 'FROM "transcriptions_segment"' in q["sql"]]
    assert '"text"' in query
    assert '"words"' not in query


def test_detail_page_has_the_waveform_once_the_audio_is_prepared(
    alice: User, client: Client
) -> None:
    client.force_login(alice)
    row = recording(alice, "Talk")
    for is_prepared in (False, True):
        if is_prepared:
            AudioAnalysis.objects.create(transcription=row, waveform=b"\0\xff")
        html = client.get(f"/transcriptions/{row.id}/").content.decode()
        tag = re.search(r"<transcript-player[^>]*>", html)
        assert tag
        assert ("hidden" not in tag[0]) == is_prepared


def test_detail_page_is_aria_live_only_while_transcribing(alice: User, client: Client) -> None:
    client.force_login(alice)
    for state, lease in (State.TRANSCRIBING, uuid.uuid4()), (State.COMPLETED, None):
        row = recording(alice, "Talk", text="Good morning.", state=state, lease=lease)
        content = client.get(f"/transcriptions/{row.id}/").content.decode()
        assert ('aria-live="polite"' in content) is (state == State.TRANSCRIBING)


def test_full_last_page_has_no_next_cursor(alice: User, api: Client) -> None:
    for number in range(2):
        recording(alice, str(number))
    assert api.get("/api/transcriptions?limit=2").json()["next_cursor"] is None


@pytest.mark.covers("attack", "Invalid cursors, limits and filters of the library")
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_field"),
        ("limit=101", "invalid_field"),
        ("limit=x", "invalid_field"),
        ("state=lost", "invalid_field"),
        ("created_after=yesterday", "invalid_field"),
        ("created_after=0.5", "invalid_field"),
        ("created_after=2026-05-04T12:00:00", "invalid_field"),  # without an offset
        ("created_after=0001-01-01T00:00:00%2B10:00", "invalid_field"),
        ("q=%00", "invalid_field"),
        ("language=%00", "invalid_field"),
        ("cursor=abc", "invalid_cursor"),
        ("cursor=MjAyNi0wNS0wNFQxMjowMDowMCB4", "invalid_cursor"),  # a time without an id
    ],
)
def test_invalid_query_parameter_is_422(api: Client, query: str, code: str) -> None:
    response = api.get(f"/api/transcriptions?{query}")
    assert (response.status_code, response.json()["code"]) == (422, code)


# --- Filters ----------------------------------------------------------------------------------


def test_filters_are_combined_with_and(alice: User, api: Client) -> None:
    recording(alice, "English", state=State.COMPLETED, created_at=NOON)
    recording(alice, "German", state=State.COMPLETED, language="de", created_at=NOON)
    recording(alice, "German requested", language="", requested_language="de")
    recording(alice, "Failed", state=State.FAILED, created_at=NOON - timedelta(days=1))
    assert titles(api, "?state=completed&language=en") == ["English"]
    assert set(titles(api, "?state=completed&state=failed")) == {"English", "German", "Failed"}
    assert set(titles(api, "?language=DE")) == {"German", "German requested"}
    assert titles(api, "?created_before=2026-05-04T00:00:00Z") == ["Failed"]
    assert titles(api, "?created_before=0693-03-06T23:34:17%2B19:15") == []  # an odd offset
    after = "created_after=2026-05-04T12:00:00Z&created_before=2026-05-04T12:00:01Z"
    assert set(titles(api, f"?{after}")) == {"English", "German"}


# --- Edits, cancel, retry -----------------------------------------------------------------------


def test_rename_normalizes_stores_and_indexes_title(api: Client, finished: Transcription) -> None:
    url = f"/api/transcriptions/{finished.id}"
    response = patch(api, url, title="  Walk\u200b at dawn ")
    assert (response.status_code, response.json()["title"]) == (200, "Walk at dawn")
    assert titles(api, "?q=dawn") == ["Walk at dawn"]
    assert titles(api, "?q=seconds") == []
    assert patch(api, url, title="x" * 3_000_000).json()["code"] == "too_large"
    for title in ("", "  ", "\u200b", "\x00", "\u200d", "\u2800", "\u0301", "x" * 256, None):
        assert patch(api, url, title=title).status_code == 422
    assert titles(api) == ["Walk at dawn"]
    england = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
    for title in ("می\u200cخواهم", "👩\u200d👩\u200d👧 at sea", england):  # noqa: RUF001 - Persian
        assert patch(api, url, title=title).json()["title"] == title
    response = patch(api, url, title="Board\nof\u00a0Trade\u3000東京")
    assert response.json()["title"] == "Board of Trade 東京"


def test_corrected_segment_is_exported_and_indexed(api: Client, finished: Transcription) -> None:
    url = f"/api/transcriptions/{finished.id}"
    response = patch(api, f"{url}/segments/2", text="Second\n sentence.")
    assert response.status_code == 200
    assert response.json()["text"] == "Second sentence."
    assert [word["text"] for word in response.json()["words"]] == ["Second", "sentence."]
    assert (response.json()["start"], response.json()["end"]) == (1.0, 1.9)
    assert "Sentence 1. Second sentence. Sentence 3." in api.get(url).json()["text"]
    assert b"Sentence 1. Second sentence.\n" in api.get(f"{url}/export?format=srt").content
    assert titles(api, "?q=second") == ["Ten seconds"]
    assert patch(api, f"{url}/segments/9", text="Nothing").status_code == 404
    for body in ('"Text"', "[]", '{"text": "a", "start": 1}', "{"):
        response = api.patch(f"{url}/segments/1", body, content_type="application/json")
        assert response.status_code in (400, 422), body
    for text in ("", " \n", "a\x00b"):
        assert patch(api, f"{url}/segments/1", text=text).status_code == 422


def test_conflicting_edit_is_409_and_not_stored(api: Client, finished: Transcription) -> None:
    url = f"/api/transcriptions/{finished.id}/segments/2"
    original = finished.segments.get(number=2).text
    assert patch(api, url, text="Alice.", expected_text=f" {original}").status_code == 200
    conflict = patch(api, url, text="Bob.", expected_text=original)
    assert (conflict.status_code, conflict.json()["code"]) == (409, "edit_conflict")
    assert "“Alice.”" in conflict.json()["detail"]
    repeated = patch(api, url, text="Alice.", expected_text=original)
    assert repeated.status_code == 200  # the same edit sent twice is no conflict
    assert patch(api, url, text="Bob.", expected_text="Alice.").json()["text"] == "Bob."
    assert patch(api, url, text="Without check.").json()["text"] == "Without check."


def test_correction_before_completion_is_409(api: Client, prepared: Transcription) -> None:
    response = patch(api, f"/api/transcriptions/{prepared.id}/segments/1", text="Early")
    assert (response.status_code, response.json()["code"]) == (409, "not_completed")


def test_cancel_stops_transcription_and_keeps_segments(
    api: Client, prepared: Transcription, engine: ScriptedEngine
) -> None:
    url = f"/api/transcriptions/{prepared.id}"
    responses: list[Any] = []
    engine.before[3] = lambda: responses.append(api.post(f"{url}/cancel"))
    assert not pipeline.transcribe(prepared.id)
    (response,) = responses
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    assert response.json()["error"]["code"] == "cancelled"
    assert texts(prepared) == ["Sentence 1.", "Sentence 2."]  # stored segments are kept
    repeated = api.post(f"{url}/cancel")
    assert (repeated.status_code, repeated.json()["code"]) == (409, "already_ended")
    engine.before.clear()
    assert not pipeline.transcribe(prepared.id)  # a late task changes nothing


async def test_cancel_ends_event_stream_with_error(prepared: Transcription) -> None:
    stream = streams.subscribe(prepared.id)
    next_event = anext(stream)
    await database_sync_to_async(commands.cancel)(prepared)
    event = await next_event
    assert event is not None
    assert (event.type, event.id) == ("error", 1)
    assert getattr(event, "code", None) == "cancelled"
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


def test_retry_resumes_after_last_segment(
    api: Client, prepared: Transcription, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"/api/transcriptions/{prepared.id}"
    engine.before[3] = lambda: 1 / 0
    assert not pipeline.transcribe(prepared.id)
    assert api.get(url).json()["state"] == "failed"
    engine.before.clear()
    response = api.post(f"{url}/retry")
    assert (response.status_code, response.json()["state"]) == (202, "queued")
    assert response.json()["error"] is None
    prepare_again(prepared)
    assert pipeline.transcribe(prepared.id)
    assert texts(prepared) == [f"Sentence {n}." for n in (1, 2, 3, 4, 5)]
    assert engine.calls[-1].spans[0].start == pytest.approx(1.9)  # only the part after segment 2
    repeated = api.post(f"{url}/retry")
    assert (repeated.status_code, repeated.json()["code"]) == (409, "not_failed")


def test_retry_after_audio_deletion_is_409(
    api: Client, alice: User, page: Client, finished: Transcription
) -> None:
    commands.delete_audio(finished)
    set_state(State.FAILED)
    response = api.post(f"/api/transcriptions/{finished.id}/retry")
    assert (response.status_code, response.json()["code"]) == (409, "audio_deleted")
    url = f"/transcriptions/{finished.id}/retry/"  # from a page opened before the deletion
    content = page.post(url, follow=True).content.decode()
    assert "The audio has been deleted. Upload the recording again." in content
    assert re.search(r'<form id="retry"[^>]* hidden>', content)
    assert Transcription.objects.get().state == State.FAILED


# --- ETags --------------------------------------------------------------------------------------


def test_unchanged_etag_is_304(api: Client, finished: Transcription) -> None:
    url = f"/api/transcriptions/{finished.id}"
    for path in (url, "/api/transcriptions", f"{url}/export?format=vtt", f"{url}/audio"):
        tag = api.get(path)["ETag"]
        audit_events = AuditEvent.objects.count()
        response = api.get(path, headers={"If-None-Match": tag})
        assert (response.status_code, b"".join(response)) == (304, b""), path
        assert AuditEvent.objects.count() == audit_events  # a 304 is no export
    tag = api.get(url)["ETag"]
    patch(api, f"{url}/segments/2", text="Second sentence.")
    assert api.get(url, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.covers("attack", "If-None-Match with any content, and with the ETag of somebody else")
def test_etags_reveal_nothing_and_break_nothing(
    api: Client, alice: User, bob: User, token_of: Headers, finished: Transcription
) -> None:
    url = f"/api/transcriptions/{finished.id}"
    stranger = Client(headers=token_of(bob))
    for path in (url, f"{url}/export?format=vtt", f"{url}/audio"):
        tag = api.get(path)["ETag"]
        for known in (tag, "*", f'W/{tag}, "other"'):
            response = api.get(path, headers={"If-None-Match": known})
            assert (response.status_code, b"".join(response)) == (304, b""), (path, known)
            assert stranger.get(path, headers={"If-None-Match": known}).status_code == 404
            assert Client().get(path, headers={"If-None-Match": known}).status_code == 401
        many = ", ".join(f'"{number}"' for number in range(2_000))
        for unknown in ('"other"', tag[1:], tag.upper().replace('"', ""), '"', ",,,", many):
            assert api.get(path, headers={"If-None-Match": unknown}).status_code == 200, path
    assert api.get(url, headers={"If-None-Match": "\0"}).status_code == 400
    alice.api_tokens.all().delete()
    assert api.get(url, headers={"If-None-Match": tag}).status_code == 401


def test_if_range_with_other_etag_returns_whole_file(api: Client, finished: Transcription) -> None:
    path = f"/api/transcriptions/{finished.id}/audio"
    tag = api.get(path)["ETag"]
    for condition, status in ((tag, 206), ('"another"', 200)):
        headers = {"Range": "bytes=0-1", "If-Range": condition}
        assert api.get(path, headers=headers).status_code == status


# --- Pages --------------------------------------------------------------------------------------


@pytest.fixture
def page(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def test_cancel_and_retry_from_detail_page(
    page: Client, bob: User, prepared: Transcription
) -> None:
    url = f"/transcriptions/{prepared.id}/"
    stranger = Client()
    stranger.force_login(bob)
    for action, state in (("cancel", "cancelled"), ("cancel", "cancelled"), ("retry", "queued")):
        assert stranger.post(f"{url}{action}/").status_code == 404
        assert page.get(f"{url}{action}/").status_code == 405
        assert page.post(f"{url}{action}/")["Location"] == url
        prepared.refresh_from_db()
        assert prepared.state == state
    assert 'id="cancel"' in page.get(url).content.decode()
