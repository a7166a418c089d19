"""The export of all data of a user as a ZIP file."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.db import connection
from django.test import AsyncClient, Client

from accounts.models import UsageRecord, User
from accounts.usage import ledger
from transcriptions.editing.service import rename
from transcriptions.exports.zip_files import CHUNK_BYTES
from transcriptions.models import Transcription
from transcriptions.privacy import account_data, export
from transcriptions.privacy.export import export_user_data
from transcriptions.webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)
EXPORT = "/settings/data/export/"
MEGABYTE = 1024 * 1024


def open_zip(content: bytes) -> zipfile.ZipFile:
    """The archive, whose checksums are correct."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    return archive


def exported(user: User) -> zipfile.ZipFile:
    return open_zip(b"".join(export_user_data(user)))


def media_info(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    (info,) = [i for i in archive.infolist() if i.filename.endswith("recording.media")]
    return info


def test_export_contains_recordings_and_account(
    browser: Client, finished: Transcription, bob: User
) -> None:
    EmailAddress.objects.create(user=finished.owner, email="alice@work.example")
    User.objects.filter(pk=finished.owner_id).update(keep_days=30)
    rename(finished, 'Q1/Q2: ../plans <"CON|a*b?\\c')
    ledger.correct(UsageRecord.objects.get(), "Refunded.")
    Transcription.objects.create(owner=bob, title="Of Bob", source="x", source_bytes=1)
    without_file = Transcription.objects.create(
        owner=finished.owner, title="Gone", source="recordings/none", source_bytes=1
    )
    response = browser.post(EXPORT)
    assert response["Content-Type"] == "application/zip"
    with open_zip(b"".join(response)) as archive:
        names = archive.namelist()
        folders = {name.split("/")[0] for name in names if "/" in name}
        assert len(folders) == 2
        assert not any("Bob" in name or ".." in name.split("/") for name in names)
        (folder,) = [name for name in folders if "Q1-Q2- ..-plans --CON-a-b--c" in name]
        assert {name.split("/")[1] for name in names if name.startswith(folder)} == {
            "recording.json",
            "recording.media",
            "transcript.srt",
            "transcript.txt",
            "transcript.vtt",
        }
        assert archive.read(f"{folder}/recording.media") == Path(finished.source.path).read_bytes()
        assert json.loads(archive.read(f"{folder}/recording.json"))["segments"]
        account = json.loads(archive.read("account.json"))
        assert account["email"] == "alice@example.com"
        assert account["email_addresses"][0] == {
            "email": "alice@work.example",
            "verified": False,
            "primary": False,
        }
        assert account["settings"]["keep_days"] == 30
        assert any(str(without_file.id)[:8] in name for name in names)
        usage = json.loads(archive.read("usage.json"))
        assert [(row["charged_seconds"], row["reason"]) for row in usage] == [
            (10, "Completed."),
            (-10, "Refunded."),
        ]
        assert {row["recording"] for row in usage} == {str(finished.id)}
        activity = json.loads(archive.read("activity.json"))
        assert [event["action"] for event in activity] == ["signed_in", "data_exported"]


def test_export_of_an_empty_account_is_valid_json(alice: User) -> None:
    with exported(alice) as archive:
        assert json.loads(archive.read("account.json"))["email"] == alice.email
        for name in ("usage", "activity", "webhook_deliveries"):
            assert json.loads(archive.read(f"{name}.json")) == []


def test_export_reads_tables_in_batches(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_data, "BATCH_ROWS", 3)
    endpoint = Endpoint.objects.create(owner=alice, url="https://example.com/")
    for number in range(10):
        endpoint.create_delivery("webhook.test", f"msg_{number}", {"number": number})
    same_moment = endpoint.deliveries.order_by("message")[3].created_at
    endpoint.deliveries.filter(message__in=["msg_3", "msg_4", "msg_5"]).update(
        created_at=same_moment
    )
    with exported(alice) as archive:
        rows = json.loads(archive.read("webhook_deliveries.json"))
    numbers = [row["payload"]["data"]["number"] for row in rows]
    assert sorted(numbers) == list(range(10))
    assert (numbers[:3], numbers[6:]) == ([0, 1, 2], [6, 7, 8, 9])


def test_file_names_are_utf_8_and_fit_every_file_system(finished: Transcription) -> None:
    rename(finished, "会議" * 100)
    with exported(finished.owner) as archive:
        info = media_info(archive)
    folder = info.filename.split("/")[0]
    assert "会議会議" in folder
    assert len(folder.encode()) <= 255
    assert info.flag_bits & 0x800  # UTF-8, by the ZIP specification


def test_recording_can_be_larger_than_4_gib(finished: Transcription) -> None:
    with exported(finished.owner) as archive:
        assert media_info(archive).extract_version == zipfile.ZIP64_VERSION


def test_export_holds_only_chunks_in_memory(finished: Transcription) -> None:
    with Path(finished.source.path).open("wb") as file:
        file.truncate(64 * MEGABYTE)
    largest = total = 0
    tracemalloc.start()
    try:
        for chunk in export_user_data(finished.owner):
            largest, total = max(largest, len(chunk)), total + len(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total > 64 * MEGABYTE
    assert largest <= 2 * CHUNK_BYTES
    assert peak < 8 * MEGABYTE


def test_export_needs_no_connection_between_chunks(
    finished: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "CHUNK_BYTES", 1)
    monkeypatch.setattr(account_data, "BATCH_ROWS", 1)
    ledger.correct(UsageRecord.objects.get(), "Refunded.")
    chunks = []
    for chunk in export_user_data(finished.owner):
        assert not connection.in_atomic_block
        connection.close()
        chunks.append(chunk)
    with open_zip(b"".join(chunks)) as archive:
        assert len(json.loads(archive.read("usage.json"))) == 2


async def test_export_is_streamed_under_asgi(alice: User, finished: Transcription) -> None:
    client = AsyncClient()
    await client.aforce_login(alice)
    response: Any = await client.post(EXPORT)
    assert response.is_async
    content = b"".join([chunk async for chunk in response])
    with open_zip(content) as archive:
        assert archive.read(media_info(archive)) == b"not empty"


@pytest.mark.parametrize("deleted", ["row", "file"])
def test_recording_deleted_during_the_export_is_skipped(
    finished: Transcription, monkeypatch: pytest.MonkeyPatch, deleted: str
) -> None:
    monkeypatch.setattr(export, "CHUNK_BYTES", 1)
    chunks = export_user_data(finished.owner)
    content = next(chunks)  # account.json: the recordings were not read yet
    if deleted == "row":
        Transcription.objects.get().delete()
    else:
        Path(finished.source.path).unlink()
    with open_zip(content + b"".join(chunks)) as archive:
        names = archive.namelist()
    assert any(name.endswith("recording.json") for name in names) == (deleted == "file")
    assert not any(name.endswith("recording.media") for name in names)


def test_file_deleted_while_it_is_sent_is_still_exported(
    finished: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "CHUNK_BYTES", 1)
    content = b""
    for chunk in export_user_data(finished.owner):
        content += chunk
        if b"recording.media" in chunk:  # its header
            Transcription.objects.all().delete()
    assert not Path(finished.source.path).exists()
    with open_zip(content) as archive:
        assert archive.read(media_info(archive)) == b"not empty"
