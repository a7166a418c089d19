"""Import over HTTP: as a form, as the body, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts import concurrency
from transcriptions.api import imports
from transcriptions.models import Transcription
from transcriptions.testing import texts

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "Sentence 1. Sentence 2. Sentence three. Sentence 4. Sentence 5."
SRT = "1\n00:00:00,000 --> 00:00:05,000\n" + TEXT


def post(client: Client, row: Transcription, content: Any, query: str = "", **more: Any) -> Any:
    return client.post(f"/api/transcriptions/{row.id}/import{query}", content, **more)


def form(content: str | bytes, name: str = "a.srt") -> dict[str, SimpleUploadedFile]:
    encoded = content.encode() if isinstance(content, str) else content
    return {"file": SimpleUploadedFile(name, encoded)}


def test_form_answers_with_the_transcript_and_counts(api: Client, finished: Transcription) -> None:
    response = post(api, finished, form(SRT))
    assert response.status_code == 200
    body = response.json()
    assert body["text"] == TEXT
    assert body["imported"] == {"matched": 4, "replaced": 1, "added": 1, "removed": 0}
    assert body["segments"][0]["words"][0]["start"] == 0.0
    assert texts(finished)[2] == "Sentence three."


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (TEXT, "text/plain"),
        (SRT, "application/x-subrip"),
        (json.dumps({"text": TEXT}), "application/json"),
        (SRT, "application/octet-stream"),
    ],
)
def test_body_is_the_text(
    api: Client, finished: Transcription, content: str, media_type: str
) -> None:
    response = post(api, finished, content, content_type=media_type)
    assert response.status_code == 200
    assert finished.text == TEXT


def test_own_export_is_imported_without_any_change(api: Client, finished: Transcription) -> None:
    before = api.get(f"/api/transcriptions/{finished.id}").json()
    for kind in ("json", "srt", "vtt", "txt"):
        url = f"/api/transcriptions/{finished.id}/export?format={kind}"
        response = post(api, finished, form(api.get(url).content, f"a.{kind}"))
        assert response.status_code == 200, response.content
        assert response.json()["segments"] == before["segments"]


@pytest.mark.parametrize(
    ("content", "status", "code", "detail"),
    [
        ("", 400, "empty_file", "The file is empty."),
        (SRT.replace("05,000", "05,x"), 422, "invalid_subtitles", "Line 2: “00:00:05,x”"),
        (SRT.replace("00:05", "09:05"), 422, "beyond_recording", "Line 2: it ends at 9:05"),
        ("[Music] Something else.", 409, "different_text", "Only 0% of the words"),
        (b"\0\1", 422, "invalid_encoding", "not a text file"),
    ],
)
def test_refusals_say_where_and_why(
    api: Client,
    finished: Transcription,
    content: str | bytes,
    status: int,
    code: str,
    detail: str,
) -> None:
    name = "a.srt" if "Line" in detail else "a"
    response = post(api, finished, form(content, name))
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert detail in response.json()["detail"]
    assert texts(finished)[0] == "Sentence 1."


def test_force_imports_another_text(api: Client, finished: Transcription) -> None:
    assert post(api, finished, form("Something else.", "a.txt"), "?force=true").status_code == 200
    assert texts(finished) == ["Something else."]


def test_form_without_file_and_url_encoded_body_are_refused(
    api: Client, finished: Transcription
) -> None:
    assert post(api, finished, {}).json()["code"] == "missing_field"
    response = post(api, finished, TEXT, content_type=imports.FORM)
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.covers("attack", "A text of many megabytes is imported")
def test_large_file_is_413(
    api: Client, finished: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "MAX_MEGABYTES", 1)
    large = "a" * ((1 << 20) + 1)
    for response in (
        post(api, finished, form(large)),
        post(api, finished, large, content_type="text/plain"),
    ):
        assert (response.status_code, response.json()["code"]) == (413, "file_too_large")


def test_recording_that_is_processed_is_409(api: Client, prepared: Transcription) -> None:
    response = post(api, prepared, form(SRT))
    assert (response.status_code, response.json()["code"]) == (409, "not_completed")


def test_one_import_at_a_time(api: Client, finished: Transcription) -> None:
    with concurrency.imports.hold(finished.owner):
        response = post(api, finished, form(SRT))
    assert (response.status_code, response.json()["code"]) == (429, "too_many_parallel_requests")
    assert response["Retry-After"]
