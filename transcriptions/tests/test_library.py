"""The library over REST: pages of it, questions to it, and changes by its owner."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.test import Client

from accounts.models import AuditEvent, User
from transcriptions import actions, events, pipeline
from transcriptions.models import Segment, State, Transcription
from transcriptions.tests.conftest import ScriptedEngine, Upload, texts

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def change(client: Client, path: str, **fields: Any) -> Any:
    return client.patch(path, json.dumps(fields), content_type="application/json")


def titles(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"/api/transcriptions{query}")
    assert answer.status_code == 200, answer.content
    return [item["title"] for item in answer.json()["items"]]


def recording(owner: User, title: str, **fields: Any) -> Transcription:
    text = fields.pop("text", "")
    fields = {"source": "recordings/none", "source_bytes": 1, "language": "en"} | fields
    row = Transcription.objects.create(owner=owner, title=title, **fields)
    if text:
        Segment.objects.create(transcription=row, number=1, start=0, end=1, text=text)
    row.index()
    return row


# --- Pages --------------------------------------------------------------------------------------


def test_pages_follow_each_other_without_gap_or_repetition(
    alice: User, api: Client, django_assert_num_queries: Any
) -> None:
    for number in range(7):
        same_time = NOON + timedelta(minutes=number // 2)  # two at a time: ids decide
        recording(alice, str(number), created_at=same_time)
    api.get("/api/usage")  # the first use of a token is written down
    with django_assert_num_queries(2):  # token, page: however many rows
        first = api.get("/api/transcriptions?limit=3").json()
    seen, cursor = [row["id"] for row in first["items"]], first["next_cursor"]
    recording(alice, "New", created_at=NOON + timedelta(days=1))  # shifts what offsets would count
    while cursor:
        page = api.get(f"/api/transcriptions?limit=3&cursor={cursor}").json()
        seen += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
    whole = api.get("/api/transcriptions").json()["items"]
    assert seen == [row["id"] for row in whole if row["title"] != "New"]
    assert len(seen) == 7


def test_a_page_does_not_fetch_the_times_of_words_that_it_does_not_show(
    alice: User, client: Client, django_assert_max_num_queries: Any
) -> None:
    row = recording(alice, "Talk", text="Good morning.")
    client.force_login(alice)
    with django_assert_max_num_queries(14) as queries:
        assert "Good morning." in client.get(f"/transcriptions/{row.id}/").content.decode()
    [query] = [q["sql"] for q in queries if 'FROM "transcriptions_segment"' in q["sql"]]
    assert '"text"' in query
    assert '"words"' not in query


def test_new_words_are_read_out_while_there_may_be_any(alice: User, client: Client) -> None:
    client.force_login(alice)
    for state in State.TRANSCRIBING, State.COMPLETED:
        row = recording(alice, "Talk", text="Good morning.", state=state)
        content = client.get(f"/transcriptions/{row.id}/").content.decode()
        assert ('aria-live="polite"' in content) is (state == State.TRANSCRIBING)


def test_a_last_page_that_is_full_has_no_successor(alice: User, api: Client) -> None:
    for number in range(2):
        recording(alice, str(number))
    assert api.get("/api/transcriptions?limit=2").json()["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_field"),
        ("limit=101", "invalid_field"),
        ("limit=x", "invalid_field"),
        ("state=lost", "invalid_field"),
        ("created_after=yesterday", "invalid_field"),
        ("created_after=0.5", "invalid_field"),
        ("created_after=2026-05-04T12:00:00", "invalid_field"),  # where?
        ("created_after=0001-01-01T00:00:00%2B10:00", "invalid_field"),
        ("q=%00", "invalid_field"),
        ("language=%00", "invalid_field"),
        ("cursor=abc", "invalid_cursor"),
        ("cursor=MjAyNi0wNS0wNFQxMjowMDowMCB4", "invalid_cursor"),  # a moment and no id
    ],
)
def test_questions_that_make_no_sense_are_answered_with_a_sentence(
    api: Client, query: str, code: str
) -> None:
    answer = api.get(f"/api/transcriptions?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)


# --- Questions ----------------------------------------------------------------------------------


def test_filters_hold_together(alice: User, api: Client) -> None:
    recording(alice, "English", state=State.COMPLETED, created_at=NOON)
    recording(alice, "German", state=State.COMPLETED, language="de", created_at=NOON)
    recording(alice, "Asked for German", language="", requested_language="de")
    recording(alice, "Failed", state=State.FAILED, created_at=NOON - timedelta(days=1))
    assert titles(api, "?state=completed&language=en") == ["English"]
    assert set(titles(api, "?state=completed&state=failed")) == {"English", "German", "Failed"}
    assert set(titles(api, "?language=DE")) == {"German", "Asked for German"}
    assert titles(api, "?created_before=2026-05-04T00:00:00Z") == ["Failed"]
    assert titles(api, "?created_before=0693-03-06T23:34:17%2B19:15") == []  # an odd offset
    after = "created_after=2026-05-04T12:00:00Z&created_before=2026-05-04T12:00:01Z"
    assert set(titles(api, f"?{after}")) == {"English", "German"}


def test_words_are_found_in_title_and_text_and_in_any_form(alice: User, api: Client) -> None:
    recording(alice, "Harbour walk", text="We were walking past two ships.")
    recording(alice, "Budget", text="The meetings were postponed, and the ship sailed.")
    recording(alice, "Häuser", language="de", text="Die alten Häuser standen am Meer.")
    assert titles(api, "?q=walked") == ["Harbour walk"]
    assert set(titles(api, "?q=ships")) == {"Budget", "Harbour walk"}
    assert titles(api, "?q=ship+meeting") == ["Budget"]
    assert titles(api, "?q=ship+-meeting") == ["Harbour walk"]
    assert titles(api, "?q=%22two+ships%22") == ["Harbour walk"]
    assert titles(api, "?q=%22ships+two%22") == []
    assert titles(api, "?q=haus") == ["Häuser"]
    assert titles(api, "?q=budget") == ["Budget"]


def test_languages_without_spaces_are_searched_by_their_letters(alice: User, api: Client) -> None:
    recording(alice, "会議", language="ja", text="今日は港まで歩きました。")
    assert titles(api, "?q=港まで") == ["会議"]
    assert titles(api, "?q=会") == ["会議"]
    assert titles(api, "?q=山") == []
    recording(alice, "天気の話", text="We spoke of the rain.")
    assert titles(api, "?q=天気") == ["天気の話"]
    assert titles(api, "?q=今日+歩き") == ["会議"]
    assert titles(api, "?q=%22港まで%22") == ["会議"]
    assert titles(api, "?q=会議+-港まで") == []
    assert titles(api, "?q=会議+-山") == ["会議"]
    assert set(titles(api, "?q=会議+or+天気")) == {"会議", "天気の話"}


def test_words_that_a_language_leaves_out_are_found_as_they_stand(alice: User, api: Client) -> None:
    recording(alice, "The Who, live", text="Three of them.")
    recording(alice, "Hamlet", text="To be, they say. And to be  or not to be?")
    recording(alice, "Budget", text="Who said the whole of it? Theatre, he did.")
    recording(alice, "Wer", language="de", text="Das ist the Who.")
    for words in ("the+who", "%22The+Who%22", "the+who%3F"):
        assert set(titles(api, f"?q={words}")) == {"The Who, live", "Wer"}
    assert titles(api, "?q=to+be,+or+not+to+be") == ["Hamlet"]
    assert titles(api, "?q=be+not") == titles(api, "?q=he+(") == titles(api, "?q=%22") == []


def test_a_title_is_found_while_its_words_are_recognised_and_after_a_failure(
    api: Client, prepared: Transcription, engine: ScriptedEngine
) -> None:
    prepared.rename("Quarterly meetings")
    found: list[list[str]] = []
    engine.before[2] = lambda: found.append(titles(api, "?q=meeting"))
    engine.before[3] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    assert found == [["Quarterly meetings"]]
    assert titles(api, "?q=meeting+sentence") == ["Quarterly meetings"]


def test_a_finished_recording_is_found_by_what_was_said(
    api: Client, finished: Transcription
) -> None:
    assert titles(api, "?q=sentence") == ["Ten seconds"]
    assert titles(api, "?q=paragraph") == []


def test_an_upload_is_found_by_its_title_at_once(
    api: Client, upload: Upload, tmp_path: Path
) -> None:
    path = tmp_path / "Board meeting.mp3"
    path.write_bytes(b"ID3\x04" + bytes(100))
    upload(path)
    assert titles(api, "?q=board") == ["Board meeting"]


# --- Changes ------------------------------------------------------------------------------------


def test_a_new_title_is_kept_and_found(api: Client, finished: Transcription) -> None:
    url = f"/api/transcriptions/{finished.id}"
    answer = change(api, url, title="  Walk\u200b at dawn ")
    assert (answer.status_code, answer.json()["title"]) == (200, "Walk at dawn")
    assert titles(api, "?q=dawn") == ["Walk at dawn"]
    assert titles(api, "?q=seconds") == []
    assert change(api, url, title="x" * 3_000_000).json()["code"] == "too_large"
    for title in ("", "  ", "\u200b", "\x00", "\u200d", "\u2800", "\u0301", "x" * 256, None):
        assert change(api, url, title=title).status_code == 422
    assert titles(api) == ["Walk at dawn"]
    england = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
    for title in ("می\u200cخواهم", "👩\u200d👩\u200d👧 at sea", england):  # noqa: RUF001 - Persian
        assert change(api, url, title=title).json()["title"] == title
    answer = change(api, url, title="Board\nof\u00a0Trade\u3000東京")
    assert answer.json()["title"] == "Board of Trade 東京"


def test_a_corrected_segment_is_exported_and_found(api: Client, finished: Transcription) -> None:
    url = f"/api/transcriptions/{finished.id}"
    answer = change(api, f"{url}/segments/2", text="Second\n sentence.")
    assert answer.status_code == 200
    assert answer.json()["text"] == "Second sentence."
    assert [word["text"] for word in answer.json()["words"]] == ["Second", "sentence."]
    assert (answer.json()["start"], answer.json()["end"]) == (1.0, 1.9)
    assert "Sentence 1. Second sentence. Sentence 3." in api.get(url).json()["text"]
    assert b"\nSecond sentence.\n" in api.get(f"{url}/export?format=srt").content
    assert titles(api, "?q=second") == ["Ten seconds"]
    assert change(api, f"{url}/segments/9", text="Nothing").status_code == 404
    for body in ('"Text"', "[]", '{"text": "a", "start": 1}', "{"):
        bad = api.patch(f"{url}/segments/1", body, content_type="application/json")
        assert bad.status_code in (400, 422), body
    for text in ("", " \n", "a\x00b"):
        assert change(api, f"{url}/segments/1", text=text).status_code == 422


def test_what_was_changed_meanwhile_is_not_overwritten(
    api: Client, finished: Transcription
) -> None:
    url = f"/api/transcriptions/{finished.id}/segments/2"
    was = finished.segments.get(number=2).text
    assert change(api, url, text="Hers.", was=f" {was}").status_code == 200
    his = change(api, url, text="His.", was=was)
    assert (his.status_code, his.json()["code"]) == (409, "changed_meanwhile")
    assert "“Hers.”" in his.json()["detail"]
    assert change(api, url, text="Hers.", was=was).status_code == 200  # nothing is lost by that
    assert change(api, url, text="His.", was="Hers.").json()["text"] == "His."
    assert change(api, url, text="Anybody's.").json()["text"] == "Anybody's."


def test_nothing_is_corrected_before_its_end(api: Client, prepared: Transcription) -> None:
    answer = change(api, f"/api/transcriptions/{prepared.id}/segments/1", text="Early")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_completed")


def test_work_stops_when_it_is_cancelled(
    api: Client, prepared: Transcription, engine: ScriptedEngine
) -> None:
    url = f"/api/transcriptions/{prepared.id}"
    answers: list[Any] = []
    engine.before[3] = lambda: answers.append(api.post(f"{url}/cancel"))
    assert not pipeline.transcribe(prepared.id)
    (answer,) = answers
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert answer.json()["error"]["code"] == "cancelled"
    assert texts(prepared) == ["Sentence 1.", "Sentence 2."]  # what is known stays
    again = api.post(f"{url}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "already_ended")
    engine.before.clear()
    assert not pipeline.transcribe(prepared.id)  # late bells change nothing


async def test_followers_are_told_of_the_cancellation(prepared: Transcription) -> None:
    stream = events.subscribe(prepared.id)
    waiting = anext(stream)
    await database_sync_to_async(actions.cancel)(prepared)
    event = await waiting
    assert event is not None
    assert (event.type, event.id) == ("error", 1)
    assert getattr(event, "code", None) == "cancelled"
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


def test_a_retry_goes_on_where_it_stopped(
    api: Client, prepared: Transcription, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"/api/transcriptions/{prepared.id}"
    engine.before[3] = lambda: 1 / 0
    assert not pipeline.transcribe(prepared.id)
    assert api.get(url).json()["state"] == "failed"
    engine.before.clear()
    answer = api.post(f"{url}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "prepared")
    assert answer.json()["error"] is None
    assert pipeline.transcribe(prepared.id)
    assert texts(prepared) == [f"Sentence {n}." for n in (1, 2, 3, 4, 5)]
    assert engine.asked[-1].spans[0].start == pytest.approx(1.9)  # the rest of it alone
    again = api.post(f"{url}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "not_failed")


def test_a_retry_rings_for_the_half_that_is_missing(
    api: Client, prepared: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transcriptions import tasks

    rung: list[Any] = []
    monkeypatch.setattr(tasks, "ring", lambda task, id: rung.append((task.name, id)))
    for audio, task in (("recordings/ten.wav", "transcribe"), ("", "preprocess")):
        Transcription.objects.update(state=State.CANCELLED, audio=audio)
        assert api.post(f"/api/transcriptions/{prepared.id}/retry").status_code == 202
        assert rung.pop() == (f"transcriptions.tasks.{task}", prepared.id)
    assert rung == []


def test_what_is_not_stored_any_more_is_not_tried_again(
    api: Client, alice: User, page: Client, finished: Transcription
) -> None:
    finished.forget_audio()
    Transcription.objects.update(state=State.FAILED)
    answer = api.post(f"/api/transcriptions/{finished.id}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "audio_gone")
    old = f"/transcriptions/{finished.id}/retry/"  # from a page that was open before
    form = page.post(old, follow=True).content.decode()
    assert "The recording itself is not stored any more: upload it again." in form
    assert re.search(r'<form id="retry"[^>]* hidden>', form)
    assert Transcription.objects.get().state == State.FAILED


# --- ETags --------------------------------------------------------------------------------------


def test_what_has_not_changed_is_not_sent_again(api: Client, finished: Transcription) -> None:
    url = f"/api/transcriptions/{finished.id}"
    for path in (url, "/api/transcriptions", f"{url}/export?format=vtt", f"{url}/audio"):
        tag = api.get(path)["ETag"]
        told = AuditEvent.objects.count()
        same = api.get(path, headers={"If-None-Match": tag})
        assert (same.status_code, b"".join(same)) == (304, b""), path
        assert AuditEvent.objects.count() == told  # nothing was exported
    tag = api.get(url)["ETag"]
    change(api, f"{url}/segments/2", text="Second sentence.")
    assert api.get(url, headers={"If-None-Match": tag}).status_code == 200


def test_a_part_is_given_of_the_same_recording_alone(api: Client, finished: Transcription) -> None:
    path = f"/api/transcriptions/{finished.id}/audio"
    tag = api.get(path)["ETag"]
    for condition, status in ((tag, 206), ('"another"', 200)):
        headers = {"Range": "bytes=0-1", "If-Range": condition}
        assert api.get(path, headers=headers).status_code == status


# --- On the pages -------------------------------------------------------------------------------


@pytest.fixture
def page(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def test_the_library_page_is_searched(alice: User, page: Client) -> None:
    recording(alice, "Harbour walk", text="We were walking past two ships.")
    recording(alice, "Budget", text="The meetings were postponed.")
    found = page.get("/?q=ship").content.decode()
    assert "Harbour walk" in found
    assert "Budget" not in found
    nothing = page.get("/", {"q": "<b>whale"}).content.decode()
    assert "No recordings match “&lt;b&gt;whale”" in nothing


def test_cancel_and_retry_from_the_page(page: Client, bob: User, prepared: Transcription) -> None:
    url = f"/transcriptions/{prepared.id}/"
    stranger = Client()
    stranger.force_login(bob)
    for action, state in (("cancel", "cancelled"), ("cancel", "cancelled"), ("retry", "prepared")):
        assert stranger.post(f"{url}{action}/").status_code == 404
        assert page.get(f"{url}{action}/").status_code == 405
        assert page.post(f"{url}{action}/")["Location"] == url
        prepared.refresh_from_db()
        assert prepared.state == state
    assert 'id="cancel"' in page.get(url).content.decode()
