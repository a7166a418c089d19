"""Raw bodies, idempotency keys, and clients that count their retries."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from gpu.languages import LANGUAGES
from transcodio_site.testing import Media
from transcriptions.models import IdempotencyKey, State, Transcription
from transcriptions.operations.tasks import delete_expired_idempotency_keys
from transcriptions.processing import pipeline
from transcriptions.testing import MP3, Headers, send, set_state, stored_files
from transcriptions.uploads.requests import RETRY_WINDOW

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/transcriptions"
CURL = "application/x-www-form-urlencoded"  # curl's default Content-Type


def raw(client: Client, path: str, content: bytes, media_type: str = "audio/mpeg") -> Any:
    return client.generic("POST", path, content, content_type=media_type)


# --- Raw bodies ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media_type",
    [
        "audio/mpeg",
        "video/webm",
        "application/octet-stream",
        "binary/octet-stream",
        "application/x-unknown",
        "",
    ],
)
def test_raw_body_is_accepted(api: Client, settings: Any, media_type: str) -> None:
    response = raw(api, f"{URL}?language=de&title=Board+meeting", MP3 * 1400, media_type)
    assert response.status_code == 202
    assert (response.json()["title"], response.json()["language"]) == ("Board meeting", "de")
    row = Transcription.objects.get()
    assert Path(row.source.path).read_bytes() == MP3 * 1400
    assert row.source_bytes == len(MP3) * 1400
    assert len(stored_files(settings)) == 1


def test_prompt_and_keywords_are_passed_to_the_engine(api: Client) -> None:
    query = "prompt=Minutes+of+the+board.&keywords=Nguyen,+Reykjavik,,Nguyen&keywords=Ada+Lovelace"
    assert raw(api, f"{URL}?{query}", MP3).status_code == 202
    options = Transcription.objects.get().options.for_engine()
    assert options.prompt == "Minutes of the board."
    assert options.keywords == ("Nguyen", "Reykjavik", "Ada Lovelace")


def test_translation_is_refused_if_the_engine_cannot(api: Client, settings: Any) -> None:
    settings.STT_ENGINE = "kyutai"
    response = raw(api, f"{URL}?task=translate", MP3)
    assert (response.status_code, response.json()["code"]) == (422, "unsupported_task")
    assert raw(api, f"{URL}?task=transcribe", MP3).status_code == 202
    settings.STT_ENGINE = "whisper"
    assert raw(api, f"{URL}?task=translate", MP3).status_code == 202
    assert Transcription.objects.filter(stored_options__task="translate").count() == 1


def test_keyword_that_is_too_long_is_422(api: Client) -> None:
    response = raw(api, f"{URL}?keywords={'x' * 101}", MP3)
    assert response.status_code == 422
    assert "100 characters" in response.json()["detail"]


def test_upload_reads_each_limit_once(api: Client) -> None:
    raw(api, URL, MP3)  # creates the queue of the account
    with CaptureQueriesContext(connection) as queries:
        assert raw(api, URL, MP3).status_code == 202
    plans = [query["sql"] for query in queries if 'FROM "accounts_plan"' in query["sql"]]
    assert len(plans) == 2  # before the file is stored, and again under the lock of the account
    assert len(queries) <= 19


def test_raw_body_without_title_is_untitled(api: Client) -> None:
    assert raw(api, URL, MP3).json()["title"] == "Untitled recording"


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"Dear diary, today", "audio/mpeg", 415, "unsupported_format"),
        (MP3, "application/json", 415, "unsupported_media_type"),
        (MP3, "text/plain", 415, "unsupported_media_type"),
        (MP3 * 2000, "audio/mpeg", 413, "file_too_large"),
        (b"", "", 422, "missing_field"),
        (b"Dear diary, today", "", 415, "unsupported_format"),
        (b"Dear diary, today", "binary/octet-stream", 415, "unsupported_format"),
        (MP3, "audio/L16", 422, "invalid_media_type"),
        (MP3, "multipart/mixed", 415, "unsupported_media_type"),
        (MP3, CURL, 415, "unsupported_media_type"),
        (MP3 + b"&" * 2000, CURL, 415, "unsupported_media_type"),  # too many fields for Django
        (MP3 * 30_000, CURL, 415, "unsupported_media_type"),
    ],
)
def test_invalid_raw_body_is_refused(
    api: Client, settings: Any, content: bytes, media_type: str, status: int, code: str
) -> None:
    settings.MAX_FILE_SIZE_MB = 1
    response = raw(api, URL, content, media_type)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.json()["detail"].endswith(".")
    assert not Transcription.objects.exists()
    assert stored_files(settings) == []


@pytest.mark.parametrize("media_type", ["audio/basic", "audio/PCMU;rate=16000;channels=2"])
def test_raw_body_of_a_telephone_is_stored_with_its_media_type(
    api: Client, media_type: str
) -> None:
    assert raw(api, URL, b"\x7f\xff" * 8_000, media_type).status_code == 202
    rate_and_channels = media_type.partition(";")[2] or "rate=8000;channels=1"
    row = Transcription.objects.get()
    assert row.options.media_type == f"audio/pcmu;{rate_and_channels}"
    assert pipeline.preprocess(row.id)
    row.refresh_from_db()
    assert row.format == "mulaw"
    assert row.duration == pytest.approx(2 if media_type == "audio/basic" else 0.5, abs=0.05)


@pytest.mark.parametrize("path", [URL, "/api/transcribe/stream", "/v1/audio/transcriptions"])
def test_file_of_a_telephone_is_recognized_by_its_name(api: Client, path: str) -> None:
    send(api, path, b"\x7f\xff" * 8_000, "call.ulaw", model="whisper-1", stream="true")
    assert Transcription.objects.get().options.media_type == "audio/pcmu;rate=8000;channels=1"


@pytest.mark.parametrize(
    ("query", "language", "candidates"),
    [
        ("languages=de,English", "", ("de", "en")),
        ("languages=de&languages=nb-NO", "", ("de", "no")),
        ("languages=de-AT", "de", ()),
        ("languages=&language=", "", ()),
        ("languages=de,en&language=fr", "fr", ()),
    ],
)
def test_candidates_for_the_language_are_stored(
    api: Client, query: str, language: str, candidates: tuple[str, ...]
) -> None:
    assert raw(api, f"{URL}?{query}", MP3).status_code == 202
    row = Transcription.objects.get()
    assert (row.requested_language, row.options.languages) == (language, candidates)
    assert row.options.for_engine().languages == candidates


def test_long_lists_are_split_before_they_are_counted(api: Client) -> None:
    codes = list(LANGUAGES)[:99]
    assert len(",".join(codes)) > 100
    assert raw(api, f"{URL}?languages={','.join(codes)}", MP3).status_code == 202
    assert len(Transcription.objects.get().options.languages) == 99
    names = ",".join(f"x{number}" for number in range(101))
    for path in (f"{URL}?languages={names}", f"{URL}?languages={names[:300]}&languages={names}"):
        response = raw(api, path, MP3)
        assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    for field in ("keywords", "languages"):
        body = {"size": 1, field: ["x" * 101]}
        response = api.post("/api/uploads", body, content_type="application/json")
        assert (response.status_code, response.json()["code"]) == (422, "invalid_field")


def test_unknown_candidate_is_refused(api: Client, settings: Any) -> None:
    response = raw(api, f"{URL}?languages=de,klingon", MP3)
    assert (response.status_code, response.json()["code"]) == (422, "unknown_language")
    assert stored_files(settings) == []


# --- Repeated requests --------------------------------------------------------------------------


def keyed(client: Client, key: str, content: bytes = MP3, **fields: str) -> Any:
    client.defaults["HTTP_IDEMPOTENCY_KEY"] = key
    return send(client, URL, content, "a.mp3", **fields)


def test_same_key_and_request_creates_one_recording(api: Client, settings: Any) -> None:
    first, second = keyed(api, "k1"), keyed(api, "k1")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    assert first["Location"] == second["Location"]
    assert Transcription.objects.count() == 1
    assert len(stored_files(settings)) == 1
    assert keyed(api, "k2").json()["id"] != first.json()["id"]


def test_idempotency_key_works_with_raw_bodies(api: Client) -> None:
    api.defaults["HTTP_IDEMPOTENCY_KEY"] = "k1"
    first, second = (raw(api, URL, MP3).json() for _ in range(2))
    assert first["id"] == second["id"]
    assert raw(api, f"{URL}?language=de", MP3).status_code == 422


@pytest.mark.parametrize(
    "different", [{"content": MP3 + b"x"}, {"language": "de"}, {"title": "Another"}]
)
def test_same_key_with_different_request_is_422(
    api: Client, settings: Any, different: dict[str, Any]
) -> None:
    keyed(api, "k1")
    response = keyed(api, "k1", **different)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert Transcription.objects.count() == 1
    assert len(stored_files(settings)) == 1


def test_same_key_of_another_user_is_independent(api: Client, bob: User, token_of: Headers) -> None:
    id_of_bob = keyed(Client(headers=token_of(bob)), "k1").json()["id"]
    assert keyed(api, "k1").json()["id"] != id_of_bob


def test_key_expires_after_a_day(api: Client) -> None:
    first = keyed(api, "k1").json()["id"]
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert keyed(api, "k1").json()["id"] != first
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
    delete_expired_idempotency_keys()
    assert not IdempotencyKey.objects.exists()


def test_refused_request_does_not_use_the_key(api: Client) -> None:
    assert keyed(api, "k1", language="klingon").status_code == 422
    assert keyed(api, "k1", content=b"Dear diary").status_code == 415
    assert keyed(api, "k1").status_code == 202


def test_key_of_deleted_recording_is_410(api: Client) -> None:
    api.delete(keyed(api, "k1")["Location"])
    response = keyed(api, "k1")
    assert (response.status_code, response.json()["code"]) == (410, "idempotency_result_gone")


def test_key_that_is_too_long_or_not_printable_is_422(api: Client) -> None:
    for key in ("x" * 256, "a\tb"):
        assert keyed(api, key).status_code == 422
    assert keyed(api, "x" * 255).status_code == 202


def test_retry_count_replaces_the_key(api: Client, settings: Any) -> None:
    def attempt(number: str, content: bytes = MP3) -> int:
        api.defaults["HTTP_X_STAINLESS_RETRY_COUNT"] = number
        send(api, "/v1/audio/transcriptions", content, stream="true", model="whisper-1")
        return Transcription.objects.count()

    assert [attempt("0"), attempt("1"), attempt("2")] == [1, 1, 1]
    assert attempt("1", MP3 + MP3) == 2  # different recording, whose first attempt never arrived
    assert [attempt("0"), attempt("1")] == [3, 3]  # a new first attempt
    assert attempt("many") == 4
    assert len(stored_files(settings)) == 4


def test_upload_is_logged_with_its_id(api: Client, caplog: pytest.LogCaptureFixture) -> None:
    row_id = raw(api, URL, MP3).json()["id"]
    assert f"{row_id}: uploaded by user" in caplog.text


def test_concurrent_requests_with_same_key_create_one_recording(
    alice: User, token_of: Headers, folders: None, settings: Any
) -> None:
    headers = token_of(alice)
    barrier = threading.Barrier(4)
    responses: list[Any] = []

    def run() -> None:
        client = Client(headers=headers)
        barrier.wait()
        responses.append(keyed(client, "k1"))
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [response.status_code for response in responses] == [202] * 4
    assert len({response.json()["id"] for response in responses}) == 1
    assert Transcription.objects.count() == 1
    assert len(stored_files(settings)) == 1


def test_retry_after_failed_or_deleted_recording_creates_another(api: Client, media: Media) -> None:
    """OpenAI's client sends this header when an earlier attempt got no response."""
    path = media.speech("short.mp3", 6)

    def attempt(count: int) -> Any:
        with path.open("rb") as file:
            form = {"file": file, "model": "whisper-1", "stream": "true"}
            headers = {"x-stainless-retry-count": str(count)}
            response = api.post("/v1/audio/transcriptions", form, headers=headers)
        assert response.status_code == 200
        return Transcription.objects.latest("created_at")

    first = attempt(0)
    assert attempt(1) == first
    set_state(State.FAILED, Transcription.objects.filter(id=first.id))
    second = attempt(1)
    assert second != first
    second.delete()
    third = attempt(1)
    assert third not in (first, second)
    age = timezone.now() - RETRY_WINDOW
    IdempotencyKey.objects.update(created_at=age)
    assert attempt(1) == third  # which is still being processed
    set_state(State.COMPLETED, Transcription.objects.filter(id=third.id))
    assert attempt(2) == third  # within the retry window of the previous attempt
    IdempotencyKey.objects.update(created_at=age)
    assert attempt(2) != third
