"""REST: what is taken, what is refused and how, and that nobody reaches what is not theirs."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError, connection
from django.test import Client

from accounts.models import Action, AuditEvent, User
from transcodio_site.testing import Media
from transcriptions import queue
from transcriptions.models import State, Transcription
from transcriptions.testing import MP3, send, set_state, stored_files

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_upload_is_accepted_and_says_where_to_look(api: Client, media: Media) -> None:
    content = media.silence("silence.wav", 1).read_bytes()
    answer = send(api, "/api/transcriptions", content, "Team meeting.wav", language="de")
    assert answer.status_code == 202
    row = Transcription.objects.get()
    assert answer["Location"] == f"/api/transcriptions/{row.id}"
    body = answer.json()
    assert (body["id"], body["title"], body["state"]) == (str(row.id), "Team meeting", "queued")
    assert body["language"] == "de"
    assert Path(row.source.path).read_bytes() == content
    assert api.get(answer["Location"]).json()["segments"] == []


CREATORS = ["/api/transcribe", "/api/transcribe/stream", "/api/transcriptions"]


@pytest.mark.parametrize("path", CREATORS)
@pytest.mark.parametrize(
    ("content", "fields", "status", "code", "words"),
    [
        (b"", {}, 400, "empty_file", "Choose a recording"),
        (b"Dear diary, today", {}, 415, "unsupported_format", "Send MP3, WAV"),
        (b"#EXTM3U\nfile:///etc/passwd\n", {}, 415, "unsupported_format", "Send MP3, WAV"),
        (b"ffconcat version 1.0\nfile a.wav", {}, 415, "unsupported_format", "Send MP3, WAV"),
        (b"#!/bin/sh\necho hello\n", {}, 415, "unsupported_format", "Send MP3, WAV"),
        (MP3, {"language": "klingon"}, 422, "unknown_language", "en, de or fr"),
        (MP3 * 2000, {}, 413, "file_too_large", "larger than 1 MB"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_a_sentence(
    api: Client,
    settings: Any,
    path: str,
    content: bytes,
    fields: dict[str, str],
    status: int,
    code: str,
    words: str,
) -> None:
    settings.MAX_FILE_SIZE_MB = 1
    answer = send(api, path, content, "speech.mp3", **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert words in answer.json()["detail"]
    assert not Transcription.objects.exists()
    assert stored_files(settings) == []


@pytest.mark.parametrize("path", CREATORS)
def test_a_missing_file_is_named(api: Client, path: str) -> None:
    answer = api.post(path, {"language": "en"})
    assert answer.status_code == 422
    detail = "The field 'file' is missing, or has no name."
    assert answer.json() == {"detail": detail, "code": "missing_field"}


def test_a_text_in_place_of_the_file_is_refused(api: Client) -> None:
    assert api.post("/api/transcriptions", {"file": "speech.mp3"}).status_code == 422


def test_pages_use_the_session_and_its_csrf_token(alice: User, finished: Transcription) -> None:
    page = Client(enforce_csrf_checks=True)
    page.force_login(alice)
    assert page.get("/api/transcriptions").json()["items"]
    assert page.delete(f"/api/transcriptions/{finished.id}").status_code == 403
    page.get("/")
    token = page.cookies["csrftoken"].value
    answer = page.delete(f"/api/transcriptions/{finished.id}", headers={"X-CSRFToken": token})
    assert answer.status_code == 204


def test_a_wrong_token_is_not_rescued_by_a_session(alice: User) -> None:
    page = Client(headers={"Authorization": "Bearer tk_wrong"})
    page.force_login(alice)
    assert page.get("/api/transcriptions").status_code == 401


def test_a_finished_transcript_is_read_whole(api: Client, finished: Transcription) -> None:
    body = api.get(f"/api/transcriptions/{finished.id}").json()
    assert (body["state"], body["language"], body["duration"]) == ("completed", "en", 10.0)
    assert body["text"] == "Sentence 1. Sentence 2. Sentence 3. Sentence 4. Sentence 5."
    assert body["segments"][1] == {
        "id": 2,
        "start": 1.0,
        "end": 1.9,
        "text": "Sentence 2.",
        "words": [{"start": 1.0, "end": 1.9, "text": "Sentence 2."}],
    }


@pytest.mark.parametrize(
    ("format", "media_type", "begins"),
    [
        ("txt", "text/plain", "Sentence 1. Sentence 2."),
        ("srt", "application/x-subrip", "1\n00:00:00,000 --> 00:00:00,900\nSentence 1.\n"),
        ("vtt", "text/vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:00.900\nSentence 1.\n"),
        ("json", "application/json", '{\n  "title": "Ten seconds"'),
    ],
)
def test_exports(
    api: Client, finished: Transcription, format: str, media_type: str, begins: str
) -> None:
    answer = api.get(f"/api/transcriptions/{finished.id}/export?format={format}")
    assert answer["Content-Type"].startswith(media_type)
    assert answer["Content-Disposition"] == f'attachment; filename="Ten seconds.{format}"'
    assert answer.content.decode().startswith(begins)


def test_a_head_request_for_an_export_takes_nothing_away(
    api: Client, finished: Transcription
) -> None:
    url = f"/api/transcriptions/{finished.id}/export?format=srt"
    whole, told = api.get(url), api.head(url)
    assert (told.status_code, told.content) == (200, b"")
    for name in ("Content-Type", "Content-Disposition", "Content-Length", "ETag"):
        assert told[name] == whole[name]
    assert AuditEvent.objects.filter(action=Action.EXPORTED).count() == 1


def test_a_head_request_for_events_does_not_wait_for_them(
    api: Client, prepared: Transcription
) -> None:
    told = api.head(f"/api/transcriptions/{prepared.id}/events")
    assert (told.status_code, b"".join(told)) == (200, b"")
    assert told["Content-Type"].startswith("text/event-stream")


def test_the_letters_of_an_id_may_be_large(api: Client, finished: Transcription) -> None:
    large = api.get(f"/api/transcriptions/{str(finished.id).upper()}")
    assert large.json() == api.get(f"/api/transcriptions/{finished.id}").json()


def test_an_export_needs_a_known_format_and_a_finished_transcript(
    api: Client, prepared: Transcription
) -> None:
    url = f"/api/transcriptions/{prepared.id}/export"
    assert api.get(f"{url}?format=docx").status_code == 422
    assert (api.get(url).status_code, api.get(url).json()["code"]) == (409, "not_completed")


def test_a_failed_recording_says_why(api: Client, finished: Transcription) -> None:
    set_state(State.FAILED, error_code="too_long", error_message="Split it.")
    body = api.get(f"/api/transcriptions/{finished.id}").json()
    assert body["error"] == {"detail": "Split it.", "code": "too_long"}


def test_deleting_takes_everything_along(
    api: Client, finished: Transcription, settings: Any
) -> None:
    url = f"/api/transcriptions/{finished.id}"
    assert api.delete(url).status_code == 204
    assert stored_files(settings) == []
    for again in (api.get(url), api.delete(url)):
        assert again.status_code == 404
        assert again.json()["code"] == "not_found"


def test_an_id_that_is_none_is_not_found(api: Client) -> None:
    assert api.get("/api/transcriptions/nonsense").status_code == 404


AUDIO = b"not empty"


@pytest.mark.parametrize(
    ("code", "status", "theirs"),
    [
        ("no_audio", 422, 400),
        ("internal_error", 503, 503),
        ("engine_unreachable", 503, 503),
        ("timed_out", 503, 503),
        ("disk_full", 507, 507),
    ],
)
def test_who_waits_learns_whose_fault_it_was(
    api: Client, media: Media, monkeypatch: pytest.MonkeyPatch, code: str, status: int, theirs: int
) -> None:
    failed = {"error_code": code, "error_message": "It did not work."}
    monkeypatch.setattr(queue, "enqueue", lambda *_: set_state(State.FAILED, **failed))
    content = media.silence("silence.wav", 1).read_bytes()
    answer = send(api, "/api/transcribe", content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    answer = send(api, "/v1/audio/transcriptions", content, model="whisper-1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (theirs, code)
    assert answer["x-should-retry"] == "false"


def test_a_full_disk_is_told_in_both_shapes(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", full)
    ours = send(api, "/api/transcriptions", MP3)
    theirs = send(api, "/v1/audio/transcriptions", MP3, model="whisper-1")
    assert (ours.status_code, ours.json()["code"]) == (507, "disk_full")
    assert (theirs.status_code, theirs.json()["error"]["code"]) == (507, "disk_full")
    assert theirs["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("cause", "status", "code", "again"),
    [
        (psycopg.errors.AdminShutdown("terminating connection"), 503, "unavailable", "true"),
        (psycopg.errors.DiskFull("could not extend file"), 507, "disk_full", "false"),
    ],
)
def test_a_database_that_is_away_or_full_is_told_in_both_shapes(
    api: Client, cause: Exception, status: int, code: str, again: str
) -> None:
    def broken(execute: Any, sql: str, *about: Any) -> Any:
        if sql.startswith("INSERT"):
            raise OperationalError(str(cause)) from cause
        return execute(sql, *about)

    with connection.execute_wrapper(broken):
        ours = send(api, "/api/transcriptions", MP3)
        theirs = send(api, "/v1/audio/transcriptions", MP3, model="whisper-1")
    assert (ours.status_code, ours.json()["code"]) == (status, code)
    assert (theirs.status_code, theirs.json()["error"]["code"]) == (status, code)
    assert theirs["x-should-retry"] == again
    assert ("Retry-After" in ours.headers) is (status == 503)


@pytest.mark.parametrize(
    ("asked", "status", "content", "said"),
    [
        ("", 200, AUDIO, None),
        ("bytes=0-2", 206, b"not", "bytes 0-2/9"),
        ("bytes=4-", 206, b"empty", "bytes 4-8/9"),
        ("bytes=-2", 206, b"ty", "bytes 7-8/9"),
        ("bytes=4-999", 206, b"empty", "bytes 4-8/9"),
        ("bytes=0-", 206, AUDIO, "bytes 0-8/9"),
        ("bytes=9-", 416, None, "bytes */9"),
        ("bytes=5-2", 416, None, "bytes */9"),
        ("lines=1-2", 200, AUDIO, None),
        (f"bytes=0-{'9' * 5000}", 200, AUDIO, None),  # not understood
    ],
)
def test_audio_is_served_in_ranges(
    api: Client,
    finished: Transcription,
    asked: str,
    status: int,
    content: bytes | None,
    said: str | None,
) -> None:
    headers = {"Range": asked} if asked else {}
    answer = api.get(f"/api/transcriptions/{finished.id}/audio", headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("Content-Range") == said
    if content is None:
        assert answer.json()["code"] == "no_such_range"
    else:
        assert b"".join(answer) == content
        assert int(answer["Content-Length"]) == len(content)


def test_audio_answers_a_head_request(api: Client, finished: Transcription) -> None:
    answer = api.head(f"/api/transcriptions/{finished.id}/audio")
    assert (answer.status_code, answer["Content-Length"], answer.content) == (200, "9", b"")


def test_audio_whose_file_is_gone_is_not_found(api: Client, finished: Transcription) -> None:
    Path(finished.source.path).unlink()
    assert api.get(f"/api/transcriptions/{finished.id}/audio").status_code == 404


def test_the_documentation_page_opens_without_foreign_scripts() -> None:
    page = Client().get("/api/docs")
    assert page.status_code == 200
    assert b"https://" not in page.content.split(b"<body", 1)[1]


def test_health(db: None) -> None:
    answer = Client().get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
    assert set(answer.json()) == {"status", "version"}


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code", "words"),
    [
        ("get", "?state=bogus", None, 422, "invalid_field", "The field 'state': Input should be"),
        ("get", "?q=a%09b", None, 422, "invalid_field", "'q': it is empty, or has characters"),
        ("get", "?created_after=soon", None, 422, "invalid_field", "is wanted, or a date."),
        ("patch", "/{id}", "[]", 422, "invalid_body", "Send a JSON object"),
        ("patch", "/{id}", "{", 400, "bad_request", "The body is not valid JSON."),
        (
            "patch",
            "/{id}",
            '{"title": "  "}',
            422,
            "invalid_field",
            "it needs a character that",
        ),
    ],
)
def test_what_is_wrong_is_said_to_people(
    api: Client,
    finished: Transcription,
    method: str,
    path: str,
    sent: str | None,
    status: int,
    code: str,
    words: str,
) -> None:
    url = f"/api/transcriptions{path.format(id=finished.id)}"
    body = {} if sent is None else {"data": sent, "content_type": "application/json"}
    answer = getattr(api, method)(url, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert words in answer.json()["detail"]
    assert "Value error" not in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/api/transcriptions", "/v1/audio/transcriptions"])
def test_a_form_without_its_boundary_is_told_so(api: Client, path: str) -> None:
    answer = api.generic("POST", path, b"fLaC", content_type="multipart/form-data")
    assert answer.status_code == 400
    body = answer.json()
    assert "with the boundary" in body.get("detail", body.get("error", {}).get("message"))


def test_a_day_and_a_language_tag_are_understood(api: Client, finished: Transcription) -> None:
    for query in ("created_after=2026-01-01", "language=en-US", "created_before=2099-12-31"):
        assert len(api.get(f"/api/transcriptions?{query}").json()["items"]) == 1
    for query in ("created_before=2026-01-01", "language=de-AT"):
        assert api.get(f"/api/transcriptions?{query}").json()["items"] == []
