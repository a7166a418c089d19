"""REST API: uploads, errors, authentication, exports, and byte ranges."""

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


def test_upload_is_202_with_location(api: Client, media: Media) -> None:
    content = media.silence("silence.wav", 1).read_bytes()
    response = send(api, "/api/transcriptions", content, "Team meeting.wav", language="de")
    assert response.status_code == 202
    row = Transcription.objects.get()
    assert response["Location"] == f"/api/transcriptions/{row.id}"
    body = response.json()
    assert (body["id"], body["title"], body["state"]) == (str(row.id), "Team meeting", "queued")
    assert body["language"] == "de"
    assert Path(row.source.path).read_bytes() == content
    assert api.get(response["Location"]).json()["segments"] == []


UPLOAD_PATHS = ["/api/transcribe", "/api/transcribe/stream", "/api/transcriptions"]


@pytest.mark.parametrize("path", UPLOAD_PATHS)
@pytest.mark.parametrize(
    ("content", "fields", "status", "code", "message"),
    [
        (b"", {}, 400, "empty_file", "Choose a recording"),
        (b"Dear diary, today", {}, 415, "unsupported_format", "Upload MP3, WAV"),
        (b"#EXTM3U\nfile:///etc/passwd\n", {}, 415, "unsupported_format", "Upload MP3, WAV"),
        (b"ffconcat version 1.0\nfile a.wav", {}, 415, "unsupported_format", "Upload MP3, WAV"),
        (b"#!/bin/sh\necho hello\n", {}, 415, "unsupported_format", "Upload MP3, WAV"),
        (MP3, {"language": "klingon"}, 422, "unknown_language", "en, de or fr"),
        (MP3 * 2000, {}, 413, "file_too_large", "larger than 1 MB"),
    ],
)
def test_rejected_upload_has_error_message_and_stores_nothing(
    api: Client,
    settings: Any,
    path: str,
    content: bytes,
    fields: dict[str, str],
    status: int,
    code: str,
    message: str,
) -> None:
    settings.MAX_FILE_SIZE_MB = 1
    response = send(api, path, content, "speech.mp3", **fields)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert message in response.json()["detail"]
    assert not Transcription.objects.exists()
    assert stored_files(settings) == []


@pytest.mark.parametrize("path", UPLOAD_PATHS)
def test_upload_without_file_is_422(api: Client, path: str) -> None:
    response = api.post(path, {"language": "en"})
    assert response.status_code == 422
    detail = "The field 'file' is missing or has no file name."
    assert response.json() == {"detail": detail, "code": "missing_field"}


def test_upload_with_text_instead_of_file_is_422(api: Client) -> None:
    assert api.post("/api/transcriptions", {"file": "speech.mp3"}).status_code == 422


def test_session_requests_need_csrf_token(alice: User, finished: Transcription) -> None:
    page = Client(enforce_csrf_checks=True)
    page.force_login(alice)
    assert page.get("/api/transcriptions").json()["items"]
    assert page.delete(f"/api/transcriptions/{finished.id}").status_code == 403
    page.get("/")
    token = page.cookies["csrftoken"].value
    response = page.delete(f"/api/transcriptions/{finished.id}", headers={"X-CSRFToken": token})
    assert response.status_code == 204


def test_wrong_token_is_401_despite_session(alice: User) -> None:
    page = Client(headers={"Authorization": "Bearer tk_wrong"})
    page.force_login(alice)
    assert page.get("/api/transcriptions").status_code == 401


def test_finished_transcript_has_text_segments_and_words(
    api: Client, finished: Transcription
) -> None:
    body = api.get(f"/api/transcriptions/{finished.id}").json()
    assert (body["state"], body["language"], body["duration"]) == ("completed", "en", 10.0)
    assert body["text"] == "Sentence 1. Sentence 2. Sentence 3. Sentence 4. Sentence 5."
    assert body["segments"][1] == {
        "id": 2,
        "start": 1.0,
        "end": 1.9,
        "text": "Sentence 2.",
        "language": "en",
        "channel": None,
        "speaker": None,
        "probability": None,
        "conflict": None,
        "words": [{"start": 1.0, "end": 1.9, "text": "Sentence 2."}],
    }


def test_export_of_a_range_without_words_is_an_empty_file(
    api: Client, finished: Transcription
) -> None:
    response = api.get(f"/api/transcriptions/{finished.id}/export?format=audacity&end=0.0005")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize(
    ("format", "media_type", "start"),
    [
        ("txt", "text/plain", "Sentence 1. Sentence 2."),
        (
            "srt",
            "application/x-subrip",
            "1\n00:00:00,000 --> 00:00:05,400\nSentence 1. Sentence 2.\n",
        ),
        ("vtt", "text/vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:05.400\nSentence 1. Sentence 2.\n"),
        ("json", "application/json", '{\n  "version": 1,\n  "title": "Ten seconds"'),
    ],
)
def test_export_formats(
    api: Client, finished: Transcription, format: str, media_type: str, start: str
) -> None:
    response = api.get(f"/api/transcriptions/{finished.id}/export?format={format}")
    assert response["Content-Type"].startswith(media_type)
    assert response["Content-Disposition"] == f'attachment; filename="Ten seconds.{format}"'
    assert response.content.decode().startswith(start)


def test_head_of_export_is_not_audited(api: Client, finished: Transcription) -> None:
    url = f"/api/transcriptions/{finished.id}/export?format=srt"
    get, head = api.get(url), api.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Type", "Content-Disposition", "Content-Length", "ETag"):
        assert head[name] == get[name]
    assert AuditEvent.objects.filter(action=Action.EXPORTED).count() == 1


def test_head_of_events_returns_immediately(api: Client, prepared: Transcription) -> None:
    response = api.head(f"/api/transcriptions/{prepared.id}/events")
    assert (response.status_code, b"".join(response)) == (200, b"")
    assert response["Content-Type"].startswith("text/event-stream")


def test_upper_case_id_is_accepted(api: Client, finished: Transcription) -> None:
    upper_case = api.get(f"/api/transcriptions/{str(finished.id).upper()}")
    assert upper_case.json() == api.get(f"/api/transcriptions/{finished.id}").json()


def test_export_with_unknown_format_is_422_and_unfinished_is_409(
    api: Client, prepared: Transcription
) -> None:
    url = f"/api/transcriptions/{prepared.id}/export"
    assert api.get(f"{url}?format=doc").status_code == 422
    assert (api.get(url).status_code, api.get(url).json()["code"]) == (409, "not_completed")


def test_export_as_pdf_without_a_font_is_409(api: Client, finished: Transcription) -> None:
    Transcription.objects.update(title="བོད་ཡིག")  # Tibetan
    url = f"/api/transcriptions/{finished.id}/export"
    refused = api.get(f"{url}?format=pdf")
    assert (refused.status_code, refused.json()["code"]) == (409, "missing_font")
    assert "Export as DOCX instead." in refused.json()["detail"]
    assert api.get(f"{url}?format=docx").content.startswith(b"PK")


def test_failed_transcription_has_error(api: Client, finished: Transcription) -> None:
    set_state(State.FAILED, error_code="too_long", error_message="Split it.")
    body = api.get(f"/api/transcriptions/{finished.id}").json()
    assert body["error"] == {"detail": "Split it.", "code": "too_long"}


def test_delete_removes_row_and_files(api: Client, finished: Transcription, settings: Any) -> None:
    url = f"/api/transcriptions/{finished.id}"
    assert api.delete(url).status_code == 204
    assert stored_files(settings) == []
    for response in (api.get(url), api.delete(url)):
        assert response.status_code == 404
        assert response.json()["code"] == "not_found"


def test_invalid_id_is_404(api: Client) -> None:
    assert api.get("/api/transcriptions/nonsense").status_code == 404


AUDIO = b"not empty"


@pytest.mark.parametrize(
    ("code", "status", "openai_status"),
    [
        ("no_audio", 422, 400),
        ("internal_error", 503, 503),
        ("engine_unreachable", 503, 503),
        ("timed_out", 503, 503),
        ("disk_full", 507, 507),
    ],
)
def test_failure_status_depends_on_cause(
    api: Client,
    media: Media,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    status: int,
    openai_status: int,
) -> None:
    failure = {"error_code": code, "error_message": "It did not work."}
    monkeypatch.setattr(queue, "enqueue", lambda *_: set_state(State.FAILED, **failure))
    content = media.silence("silence.wav", 1).read_bytes()
    response = send(api, "/api/transcribe", content)
    assert (response.status_code, response.json()["code"]) == (status, code)
    response = send(api, "/v1/audio/transcriptions", content, model="whisper-1")
    assert (response.status_code, response.json()["error"]["code"]) == (openai_status, code)
    assert response["x-should-retry"] == "false"


def test_full_disk_is_507_in_both_apis(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", fail)
    rest = send(api, "/api/transcriptions", MP3)
    openai = send(api, "/v1/audio/transcriptions", MP3, model="whisper-1")
    assert (rest.status_code, rest.json()["code"]) == (507, "disk_full")
    assert (openai.status_code, openai.json()["error"]["code"]) == (507, "disk_full")
    assert openai["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("cause", "status", "code", "should_retry"),
    [
        (psycopg.errors.AdminShutdown("terminating connection"), 503, "unavailable", "true"),
        (psycopg.errors.DiskFull("could not extend file"), 507, "disk_full", "false"),
    ],
)
def test_database_failure_is_503_or_507_in_both_apis(
    api: Client, cause: Exception, status: int, code: str, should_retry: str
) -> None:
    def fail_on_insert(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("INSERT"):
            raise OperationalError(str(cause)) from cause
        return execute(sql, *args)

    with connection.execute_wrapper(fail_on_insert):
        rest = send(api, "/api/transcriptions", MP3)
        openai = send(api, "/v1/audio/transcriptions", MP3, model="whisper-1")
    assert (rest.status_code, rest.json()["code"]) == (status, code)
    assert (openai.status_code, openai.json()["error"]["code"]) == (status, code)
    assert openai["x-should-retry"] == should_retry
    assert ("Retry-After" in rest.headers) is (status == 503)


@pytest.mark.parametrize(
    ("requested", "status", "content", "content_range"),
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
        (f"bytes=0-{'9' * 5000}", 200, AUDIO, None),  # too many digits: ignored
    ],
)
def test_audio_range_requests(
    api: Client,
    finished: Transcription,
    requested: str,
    status: int,
    content: bytes | None,
    content_range: str | None,
) -> None:
    headers = {"Range": requested} if requested else {}
    response = api.get(f"/api/transcriptions/{finished.id}/audio", headers=headers)
    assert response.status_code == status
    assert response.headers.get("Content-Range") == content_range
    if content is None:
        assert response.json()["code"] == "no_such_range"
    else:
        assert b"".join(response) == content
        assert int(response["Content-Length"]) == len(content)


def test_head_of_audio_has_length_and_no_body(api: Client, finished: Transcription) -> None:
    response = api.head(f"/api/transcriptions/{finished.id}/audio")
    assert (response.status_code, response["Content-Length"], response.content) == (200, "9", b"")


def test_audio_with_missing_file_is_404(api: Client, finished: Transcription) -> None:
    Path(finished.source.path).unlink()
    assert api.get(f"/api/transcriptions/{finished.id}/audio").status_code == 404


def test_docs_page_loads_no_external_scripts() -> None:
    page = Client().get("/api/docs")
    assert page.status_code == 200
    assert b"https://" not in page.content.split(b"<body", 1)[1]


def test_operation_ids_are_unique_and_independent_of_modules() -> None:
    paths = Client().get("/api/openapi.json").json()["paths"]
    ids = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(ids) == len({*ids})
    assert {"list_transcriptions", "download_audio", "download_audio_head"} <= {*ids}


def test_health(db: None) -> None:
    response = Client().get("/health")
    assert (response.status_code, response.json()["status"]) == (200, "healthy")
    assert set(response.json()) == {"status", "version", "checks"}


TOO_LONG = f'{{"title": "{256 * "A"}"}}'


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "message"),
    [
        ("get", "?state=bogus", None, 422, "invalid_field", "The field 'state': it must be '"),
        ("get", "?q=a%09b", None, 422, "invalid_field", "'q': it is empty or has characters"),
        ("get", "?created_after=soon", None, 422, "invalid_field", "use a date or a time such as"),
        ("get", "?limit=0", None, 422, "invalid_field", "'limit': it must be at least 1."),
        ("get", "?limit=many", None, 422, "invalid_field", "'limit': it must be an integer."),
        ("patch", "/{id}", TOO_LONG, 422, "invalid_field", "it can have at most 255 characters."),
        ("patch", "/{id}", "[]", 422, "invalid_body", "Send a JSON object"),
        ("patch", "/{id}", "{", 400, "bad_request", "The body is not valid JSON."),
        (
            "patch",
            "/{id}",
            '{"title": "  "}',
            422,
            "invalid_field",
            "it must contain a visible character",
        ),
    ],
)
def test_invalid_input_has_readable_error(
    api: Client,
    finished: Transcription,
    method: str,
    path: str,
    body: str | None,
    status: int,
    code: str,
    message: str,
) -> None:
    url = f"/api/transcriptions{path.format(id=finished.id)}"
    options = {} if body is None else {"data": body, "content_type": "application/json"}
    response = getattr(api, method)(url, **options)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert message in response.json()["detail"]
    assert "Value error" not in response.json()["detail"]


@pytest.mark.parametrize("path", ["/api/transcriptions", "/v1/audio/transcriptions"])
def test_form_without_boundary_is_400(api: Client, path: str) -> None:
    response = api.generic("POST", path, b"fLaC", content_type="multipart/form-data")
    assert response.status_code == 400
    body = response.json()
    assert "with its boundary" in body.get("detail", body.get("error", {}).get("message"))


def test_date_and_language_tag_filters(api: Client, finished: Transcription) -> None:
    for query in ("created_after=2026-01-01", "language=en-US", "created_before=2099-12-31"):
        assert len(api.get(f"/api/transcriptions?{query}").json()["items"]) == 1
    for query in ("created_before=2026-01-01", "language=de-AT"):
        assert api.get(f"/api/transcriptions?{query}").json()["items"] == []
