"""Uploads to the object storage in parts: what clients can do, and what they cannot."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.rate_limits import Throttled
from transcodio_site.testing_storage import BucketFolder, FaultProxy
from transcriptions.models import DirectUpload, Priority, State, Transcription
from transcriptions.operations.tasks import abort_expired_uploads
from transcriptions.processing import pipeline
from transcriptions.storage import s3_client
from transcriptions.testing import (
    MP3,
    Headers,
    ScriptedEngine,
    assign_plan,
    finish_account_deletions,
    run_concurrently,
    use_minutes,
)
from transcriptions.uploads import direct
from transcriptions.uploads.params import UploadParams

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/uploads"
PART = 5 << 20  # the least that S3 accepts


@pytest.fixture
def client(bucket: BucketFolder, alice: User, token_of: Headers) -> Client:
    """Alice's program."""
    return Client(headers=token_of(alice))


def post(client: Client, path: str = "", **body: Any) -> Any:
    return client.post(f"{URL}{path}", json.dumps(body), content_type="application/json")


def start(client: Client, size: int = len(MP3), **fields: Any) -> dict[str, Any]:
    response = post(client, size=size, **fields)
    assert response.status_code == 201, response.content
    upload: dict[str, Any] = response.json()
    return upload


def send_part(client: Client, upload: dict[str, Any], number: int, content: bytes) -> int:
    part = post(client, f"/{upload['id']}/parts/{number}").json()
    return httpx.put(part["url"], content=content[part["start"] :][: part["bytes"]]).status_code


def complete(client: Client, upload: dict[str, Any]) -> Any:
    return post(client, f"/{upload['id']}/complete")


def code_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_upload_in_parts_becomes_a_recording(
    client: Client, bucket: BucketFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "PART_BYTES", PART)
    content = MP3.ljust(PART + 1000, b"\0")
    fields = {"language": "en-US", "priority": "batch"}
    upload = start(client, len(content), name="C:\\Board meeting.mp3", **fields)
    assert (upload["parts"], upload["part_bytes"]) == (2, PART)
    for number in (2, 1, 1):  # in any order; the last one was repeated
        assert send_part(client, upload, number, content) == 200
    response = complete(client, upload)
    assert (response.status_code, response["Location"]) == (
        202,
        f"/api/transcriptions/{upload['id']}",
    )
    row = Transcription.objects.get()
    assert (str(row.id), row.title, row.state) == (upload["id"], "Board meeting", State.QUEUED)
    assert (row.source_bytes, row.requested_language) == (len(content), "en")
    assert (row.priority, row.token is None) == (Priority.BATCH, False)
    with row.source.open() as file:
        assert file.read() == content
    assert not DirectUpload.objects.exists()
    assert bucket.keys() == [f"recordings/{row.id}.source"]
    assert complete(client, upload).json()["id"] == upload["id"]  # the first answer was lost
    assert Transcription.objects.count() == 1


def test_upload_is_refused_by_local_storage_and_without_direct_access(
    api: Client, client: Client, bucket: BucketFolder, settings: Any
) -> None:
    bucket.use(direct=False)
    assert code_of(post(client, size=1)) == (409, "not_offered")
    local = {"BACKEND": "transcriptions.storage.local.LocalStorage"}
    settings.STORAGES = settings.STORAGES | {"default": local}
    assert code_of(post(client, size=1)) == (409, "not_offered")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"size": 0}, 400, "empty_file"),
        ({"size": (1 << 20) + 1}, 413, "file_too_large"),
        ({"size": 1, "language": "klingon"}, 422, "unknown_language"),
        ({"size": -1}, 422, "invalid_field"),
        ({"size": 1, "owner": 2}, 422, "invalid_field"),
        ({"size": 1, "id": str(uuid.uuid4())}, 422, "invalid_field"),
    ],
)
def test_invalid_upload_is_refused_before_anything_is_sent(
    client: Client, bucket: BucketFolder, settings: Any, fields: Any, status: int, code: str
) -> None:
    settings.MAX_FILE_SIZE_MB = 1
    assert code_of(post(client, **fields)) == (status, code)
    assert not DirectUpload.objects.exists()
    assert bucket.keys() == []


@pytest.mark.covers("attack", "Many large uploads are begun and never finished")
def test_number_and_size_of_unfinished_uploads_are_limited(
    client: Client, alice: User, bucket: BucketFolder, settings: Any
) -> None:
    settings.MAX_UPLOADS_PER_USER = 3
    assign_plan(alice, max_storage_mb=1)
    half = 500 << 10
    first = start(client, half)
    start(client, half)
    assert code_of(post(client, size=half)) == (413, "storage_full")
    start(client, 1)
    response = post(client, size=1)
    assert code_of(response) == (429, "too_many_uploads")
    assert response["Retry-After"]
    assert client.delete(f"{URL}/{first['id']}").status_code == 204
    start(client, half)
    assert len(bucket.keys()) == DirectUpload.objects.count() == 3


def test_concurrent_uploads_do_not_exceed_the_limit(
    client: Client, alice: User, settings: Any
) -> None:
    settings.MAX_UPLOADS_PER_USER = 2

    def attempt() -> bool:
        try:
            direct.start(alice, None, filename="a", size=1, params=UploadParams())
        except Throttled:
            return False
        return True

    assert sorted(run_concurrently(*[attempt] * 4)) == [False, False, True, True]
    assert DirectUpload.objects.count() == 2


def test_missing_part_is_409_and_can_be_sent_later(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = start(client)
    assert code_of(complete(client, upload)) == (409, "upload_incomplete")
    for number in (0, 2):
        assert post(client, f"/{upload['id']}/parts/{number}").status_code == 404
    assert send_part(client, upload, 1, MP3) == 200
    assert complete(client, upload).status_code == 202


def test_quota_is_checked_again_when_the_upload_is_complete(
    client: Client, alice: User, bucket: BucketFolder
) -> None:
    upload = start(client)
    send_part(client, upload, 1, MP3)
    assign_plan(alice, monthly_minutes=1)
    use_minutes(alice, 1)
    assert code_of(complete(client, upload)) == (429, "quota_exceeded")
    assert not Transcription.objects.exists()
    alice.plan = None
    alice.save()
    assert complete(client, upload).status_code == 202  # nothing has to be sent again


def test_size_is_checked_again_when_the_upload_is_complete(
    client: Client, alice: User, bucket: BucketFolder
) -> None:
    upload = start(client, (1 << 20) + 1)
    send_part(client, upload, 1, bytes((1 << 20) + 1))
    assign_plan(alice, max_file_mb=1)
    assert code_of(complete(client, upload)) == (413, "file_too_large")
    assert bucket.keys() == []
    assert not DirectUpload.objects.exists()


def test_concurrent_completions_create_one_recording(client: Client, alice: User) -> None:
    upload = start(client)
    send_part(client, upload, 1, MP3)
    row = DirectUpload.objects.get()
    results = run_concurrently(*[lambda: direct.complete(row).id] * 3)
    assert {str(result) for result in results} == {upload["id"]}
    assert Transcription.objects.count() == 1


@pytest.mark.covers("attack", "An upload of another user is read, completed or cancelled")
def test_stranger_gets_404(client: Client, bob: User, token_of: Headers) -> None:
    upload = start(client)
    stranger = Client(headers=token_of(bob))
    for path in ("/parts/1", "/complete"):
        assert post(stranger, f"/{upload['id']}{path}").status_code == 404
    assert stranger.delete(f"{URL}/{upload['id']}").status_code == 404
    assert DirectUpload.objects.count() == 1


def test_cancelled_upload_leaves_nothing(client: Client, bucket: BucketFolder) -> None:
    upload = start(client)
    send_part(client, upload, 1, MP3)
    assert client.delete(f"{URL}/{upload['id']}").status_code == 204
    assert bucket.keys() == []
    assert complete(client, upload).status_code == 404
    assert client.delete(f"{URL}/{upload['id']}").status_code == 404


@pytest.mark.covers("fault", "A browser is closed in the middle of an upload to the storage")
def test_abandoned_uploads_are_deleted(client: Client, bucket: BucketFolder) -> None:
    old, assembled, current = (start(client) for _ in range(3))
    for upload in (old, assembled, current):
        send_part(client, upload, 1, MP3)
    row = DirectUpload.objects.get(id=assembled["id"])
    direct._assemble(row)  # then the web process was killed
    expired = DirectUpload.objects.exclude(id=current["id"])
    expired.update(expires_at=timezone.now() - timedelta(seconds=1))
    abort_expired_uploads()
    assert [str(upload.id) for upload in DirectUpload.objects.all()] == [current["id"]]
    assert len(bucket.keys()) == 1
    assert complete(client, current).status_code == 202


def test_request_for_a_part_extends_the_upload(client: Client) -> None:
    upload = start(client)
    DirectUpload.objects.update(expires_at=timezone.now())
    post(client, f"/{upload['id']}/parts/1")
    abort_expired_uploads()
    assert DirectUpload.objects.count() == 1


def test_deleted_account_leaves_no_uploads(
    client: Client, alice: User, bucket: BucketFolder
) -> None:
    send_part(client, start(client), 1, MP3)
    browser = Client()
    browser.force_login(alice)
    browser.post("/settings/data/delete-account/", {"proof": "correct horse battery"})
    finish_account_deletions()
    assert bucket.keys() == []
    assert not DirectUpload.objects.exists()


@pytest.mark.covers("attack", "A file that is not a recording is sent to the storage")
def test_file_that_is_not_media_fails_before_an_engine_sees_it(
    client: Client, engine: ScriptedEngine
) -> None:
    content = b"<html><script>alert(1)</script>"
    upload = start(client, len(content), name="page.mp3")
    send_part(client, upload, 1, content)
    assert complete(client, upload).status_code == 202
    assert not pipeline.preprocess(uuid.UUID(upload["id"]))
    row = Transcription.objects.get()
    assert (row.state, row.error_code) == (State.FAILED, "unsupported_format")
    assert engine.calls == []
    response = client.get(f"/api/transcriptions/{row.id}/audio")
    served = httpx.get(response["Location"])
    assert served.headers["Content-Type"] == "application/octet-stream"
    assert served.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.covers("fault", "The object storage is unavailable when an upload begins or ends")
def test_unavailable_storage_is_503_and_the_upload_continues_later(
    client: Client,
    bucket: BucketFolder,
    fault_proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3_client, "ATTEMPTS", 1)
    bucket.use(port=fault_proxy.port)
    fault_proxy.unavailable = True
    response = post(client, size=len(MP3))
    assert code_of(response) == (503, "storage_unavailable")
    assert response["Retry-After"]
    assert not DirectUpload.objects.exists()
    bucket.use()
    upload = start(client)
    send_part(client, upload, 1, MP3)
    bucket.use(port=fault_proxy.port)
    assert complete(client, upload).status_code == 503
    assert client.delete(f"{URL}/{upload['id']}").status_code == 503
    bucket.use()
    assert complete(client, upload).status_code == 202
