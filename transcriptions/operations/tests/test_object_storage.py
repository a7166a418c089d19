"""The whole path of a recording with an object storage: only its bucket holds files."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import User
from transcodio_site.response_headers import page_policy
from transcodio_site.testing import HOLD_FOLDER, ROOT, Media, wait_until
from transcodio_site.testing_storage import SECRET_KEY, BucketFolder, FaultProxy
from transcriptions.models import DirectUpload, State, Transcription
from transcriptions.operations import orphaned_files
from transcriptions.operations.tasks import delete_expired_recordings, delete_orphaned_files
from transcriptions.privacy.export import export_user_data
from transcriptions.processing import pipeline
from transcriptions.processing.tests.helpers import expire, fresh
from transcriptions.storage import s3_client
from transcriptions.storage.base import recording_storage
from transcriptions.testing import MP3, Headers, ScriptedEngine, Upload, send, stored_files

pytestmark = pytest.mark.django_db(transaction=True)


def test_recording_is_processed_played_exported_and_deleted(
    bucket: BucketFolder,
    alice: User,
    token_of: Headers,
    media: Media,
    engine: ScriptedEngine,
    settings: Any,
) -> None:
    client, content = Client(headers=token_of(alice)), media.speech("ten.wav", 10).read_bytes()
    row_id = uuid.UUID(send(client, "/api/transcriptions", content).json()["id"])
    assert bucket.keys() == [f"recordings/{row_id}.source"]
    assert pipeline.preprocess(row_id)
    assert len(bucket.keys()) == 2  # with the prepared audio
    assert pipeline.transcribe(row_id)
    assert bucket.keys() == [f"recordings/{row_id}.source"]
    assert stored_files(settings) == []

    url = f"/api/transcriptions/{row_id}/audio"
    redirect = client.get(url, headers={"Range": "bytes=4-7"})
    assert (redirect.status_code, redirect["Cache-Control"]) == (302, "private, no-store")
    played = httpx.get(redirect["Location"], headers={"Range": "bytes=4-7"})
    assert (played.status_code, played.content) == (206, content[4:8])
    assert (played.headers["Content-Type"], played.headers["Content-Disposition"]) == (
        "audio/wav",
        'attachment; filename="a.wav"',
    )
    head = client.head(url)
    assert (head.status_code, head["Content-Length"]) == (200, str(len(content)))

    archive = zipfile.ZipFile(io.BytesIO(b"".join(export_user_data(alice))))
    (name,) = (name for name in archive.namelist() if name.endswith("recording.wav"))
    assert archive.read(name) == content

    assert client.delete(f"/api/transcriptions/{row_id}").status_code == 204
    assert bucket.keys() == []


def test_audio_is_served_by_the_web_process_without_direct_access(
    bucket: BucketFolder, alice: User, token_of: Headers, upload: Upload, media: Media
) -> None:
    path = media.speech("ten.wav", 10)
    row = upload(path)
    bucket.use(direct=False)
    url = f"/api/transcriptions/{row.id}/audio"
    client = Client(headers=token_of(alice))
    response = client.get(url, headers={"Range": "bytes=4-7"})
    assert (response.status_code, b"".join(response)) == (206, path.read_bytes()[4:8])
    assert b"".join(client.get(url)) == path.read_bytes()
    recording_storage().delete(row.source.name or "")
    assert client.get(url).json()["code"] == "audio_deleted"


def test_pages_may_use_exactly_the_storage(bucket: BucketFolder, alice: User) -> None:
    client = Client()
    client.force_login(alice)
    page = client.get("/")
    origin = f"http://127.0.0.1:{bucket.server.port}"
    assert f"media-src 'self' {origin}; connect-src 'self' {origin}" in page_policy(origin)
    assert page["Content-Security-Policy"] == page_policy(origin)
    assert "data-direct" in page.content.decode()
    bucket.use(direct=False)
    page = client.get("/")
    assert page["Content-Security-Policy"] == page_policy()
    assert "data-direct" not in page.content.decode()


@pytest.mark.covers("attack", "A signed URL is requested for a recording of another user")
def test_stranger_gets_no_signed_url(
    bucket: BucketFolder, upload: Upload, bob: User, token_of: Headers, media: Media
) -> None:
    row = upload(media.silence("one.wav", 1))
    response = Client(headers=token_of(bob)).get(f"/api/transcriptions/{row.id}/audio")
    assert response.status_code == 404
    assert "Location" not in response


def test_audio_is_deleted_when_its_retention_ends(
    bucket: BucketFolder, alice: User, upload: Upload, media: Media, engine: ScriptedEngine
) -> None:
    row = upload(media.silence("one.wav", 1))
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    User.objects.update(keep_audio_days=1)
    Transcription.objects.update(created_at=timezone.now() - timedelta(days=2))
    delete_expired_recordings()
    assert bucket.keys() == []
    assert Transcription.objects.get().source == ""


@pytest.mark.covers("fault", "A process is killed while it sends a file to the object storage")
def test_only_old_files_without_a_row_are_deleted(
    bucket: BucketFolder,
    alice: User,
    upload: Upload,
    media: Media,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row, storage = upload(media.silence("one.wav", 1)), recording_storage()
    direct = DirectUpload.objects.create(
        owner=alice, title="x", priority=1, bytes=1, part_bytes=1, expires_at=timezone.now()
    )
    for name in (f"{row.id}.wav", f"{uuid.uuid4()}.source", f"{direct.id}.source", "README"):
        storage.save(f"recordings/{name}", ContentFile(b"x"))
    assert storage.multipart
    for row_id in (uuid.uuid4(), direct.id):
        storage.multipart.start(f"recordings/{row_id}.source")
    before = len(bucket.keys())
    delete_orphaned_files()
    assert len(bucket.keys()) == before == 7  # all are new
    monkeypatch.setattr(orphaned_files, "MIN_AGE", timedelta(days=-1))
    delete_orphaned_files()
    kept = [f"recordings/{name}" for name in (f"{row.id}.source", "README")]
    assert sorted(bucket.keys()) == sorted([*kept, *[f"recordings/{direct.id}.source"] * 2])


@pytest.mark.covers("fault", "The object storage is unavailable while a recording is processed")
def test_recording_completes_when_the_storage_is_back(
    bucket: BucketFolder,
    upload: Upload,
    media: Media,
    engine: ScriptedEngine,
    fault_proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(s3_client, "ATTEMPTS", 1)
    row = upload(media.speech("ten.wav", 10))
    bucket.use(port=fault_proxy.port)
    fault_proxy.unavailable = True
    for step, state in ((pipeline.preprocess, State.QUEUED), (pipeline.transcribe, State.PREPARED)):
        bucket.use(port=fault_proxy.port)
        assert not step(row.id)
        assert (fresh(row).state, fresh(row).attempts) == (state, 1)
        expire(row)
        bucket.use()
        assert step(row.id)
    assert fresh(row).state == State.COMPLETED
    assert "503" in caplog.text
    assert SECRET_KEY not in caplog.text


@pytest.mark.covers("fault", "The object storage stays unavailable")
def test_recording_fails_with_a_clear_message_after_max_attempts(
    bucket: BucketFolder,
    alice: User,
    token_of: Headers,
    upload: Upload,
    media: Media,
    fault_proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3_client, "ATTEMPTS", 1)
    row = upload(media.silence("one.wav", 1))
    fault_proxy.unavailable = True
    bucket.use(port=fault_proxy.port)
    for _ in range(pipeline.MAX_ATTEMPTS):
        expire(row)
        assert not pipeline.preprocess(row.id)
    row = fresh(row)
    assert (row.state, row.error_code) == (State.FAILED, "storage_unavailable")
    assert "temporarily unavailable" in row.error_message
    client = Client(headers=token_of(alice))
    response = send(client, "/api/transcriptions", MP3)
    assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable")
    assert SECRET_KEY not in response.content.decode()
    assert Transcription.objects.count() == 1


# --- Two machines -------------------------------------------------------------------------------


def environment_of_machine(folder: Path, bucket: BucketFolder) -> dict[str, str]:
    """The environment of a machine that shares only Postgres, Valkey and the bucket with others."""
    folder.mkdir()
    database = connection.settings_dict
    url = urlsplit(django_settings.DATABASE_URL)
    return os.environ | {
        "VAR_DIR": str(folder),
        "DATABASE_URL": urlunsplit(url._replace(path=f"/{database['NAME']}")),
        "REDIS_URL": django_settings.REDIS_URL,
        "SECRET_KEY": django_settings.SECRET_KEY,
        "STORAGE_URL": bucket.server.url(bucket.prefix),
        "PYTHONPATH": str(HOLD_FOLDER),
        "DETERMINISTIC_ENGINE": str(folder),
    }


@contextmanager
def worker(folder: Path, queue: str, bucket: BucketFolder) -> Iterator[None]:
    """A worker that takes tasks from one queue."""
    environment = environment_of_machine(folder, bucket)
    options = ["--queues", queue, "--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    command = [sys.executable, "-m", "celery", "-A", "transcodio_site", "worker", *options]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "-n", f"{queue}@test"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_two_machines_share_only_postgres_valkey_and_the_bucket(
    bucket: BucketFolder, upload: Upload, media: Media, tmp_path: Path
) -> None:
    folders = {queue: tmp_path / queue for queue in ("preprocess", "transcribe")}
    with ExitStack() as machines:
        for queue, folder in folders.items():
            machines.enter_context(worker(folder, queue, bucket))
        row = upload(media.speech("ten.wav", 10))
        wait_until(lambda: fresh(row).is_finished)
        # The worker deletes the prepared audio afterwards.
        wait_until(lambda: bucket.keys() == [f"recordings/{row.id}.source"])
    row = fresh(row)
    log = "".join((folder / "log").read_text() for folder in folders.values())
    assert (row.state, row.error_message) == (State.COMPLETED, ""), log
    assert row.segments.exists()
    assert not any((folder / "media").exists() for folder in folders.values())
