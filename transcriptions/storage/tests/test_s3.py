"""The storage of recordings in a bucket, with a real server."""

from __future__ import annotations

import io
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.utils import timezone

from transcodio_site.testing_storage import SECRET_KEY, BucketFolder, FaultProxy
from transcriptions.exceptions import StorageUnavailable
from transcriptions.storage import s3_client
from transcriptions.storage.base import recording_storage
from transcriptions.storage.checks import check_storage

CONTENT = bytes(range(256)) * 1024
NAME = "recordings/a.source"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are not repeated."""
    monkeypatch.setattr(s3_client, "ATTEMPTS", 1)


def on_disk(size: int) -> TemporaryUploadedFile:
    """An upload as Django's parser leaves it."""
    upload = TemporaryUploadedFile("a.wav", "text/html", size, None)
    upload.truncate(size)
    upload.flush()
    return upload


# --- Files --------------------------------------------------------------------------------------


def test_file_is_stored_read_listed_and_deleted(bucket: BucketFolder) -> None:
    storage = recording_storage()
    assert storage.save(NAME, ContentFile(CONTENT)) == NAME
    assert (storage.exists(NAME), storage.size(NAME)) == (True, len(CONTENT))
    with storage.open(NAME) as file:
        assert file.read() == CONTENT
    (listed,) = storage.list_files("recordings")
    assert listed.name == NAME
    assert abs(listed.modified_at - timezone.now()) < timedelta(minutes=5)
    assert storage.get_modified_time(NAME) == listed.modified_at
    assert storage.listdir("recordings") == ([], ["a.source"])
    storage.delete(NAME)
    storage.delete(NAME)  # not an error
    assert not storage.exists(NAME)
    assert bucket.keys() == []


def test_second_file_of_the_same_name_gets_another_one(bucket: BucketFolder) -> None:
    storage = recording_storage()
    names = {storage.save(NAME, ContentFile(b"x")) for _ in range(2)}
    assert len(names) == 2
    assert sorted(bucket.keys()) == sorted(names)


def test_missing_file_is_not_found(bucket: BucketFolder) -> None:
    storage = recording_storage()
    for read in (storage.open, storage.size, storage.get_modified_time):
        with pytest.raises(FileNotFoundError):
            read("recordings/none")


def test_file_is_read_from_any_position(bucket: BucketFolder) -> None:
    recording_storage().save(NAME, ContentFile(CONTENT))
    with recording_storage().open(NAME) as file:
        for position, length in ((0, 10), (1000, 5), (1005, 5), (len(CONTENT) - 3, 10)):
            file.seek(position)
            assert file.read(length) == CONTENT[position : position + length]
        assert file.seek(-4, io.SEEK_END) == len(CONTENT) - 4
        assert (file.read(4), file.read(4)) == (CONTENT[-4:], b"")


def test_large_file_is_sent_in_parts_and_read_in_constant_memory(bucket: BucketFolder) -> None:
    size = 4 * s3_client.PART_BYTES + 1
    upload = on_disk(size)
    assert recording_storage().multipart is not None
    recording_storage().check_access()  # creates the client, which needs memory as well
    tracemalloc.start()
    recording_storage().save(NAME, upload)
    with recording_storage().open(NAME) as file:
        read = sum(len(part) for part in iter(lambda: file.read(1 << 20), b""))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    upload.close()
    assert read == recording_storage().size(NAME) == size
    assert peak < s3_client.PART_BYTES  # the whole file has four times as much


def test_listing_has_more_than_one_page(
    bucket: BucketFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = recording_storage()
    names = [f"recordings/{number}.wav" for number in range(5)]
    for name in names:
        storage.save(name, ContentFile(b"x"))
    client: Any = storage.bucket.client  # type: ignore[attr-defined]
    list_page = client.list_objects_v2

    def small_page(**parameters: Any) -> Any:
        return list_page(**parameters, MaxKeys=2)

    monkeypatch.setattr(client, "list_objects_v2", small_page)
    assert [file.name for file in storage.list_files("recordings")] == names


# --- Signed URLs --------------------------------------------------------------------------------


def test_signed_url_has_ranges_and_the_given_headers(bucket: BucketFolder) -> None:
    storage = recording_storage()
    storage.save(NAME, ContentFile(b"<script>alert(1)</script>"))
    url = storage.signed_url(NAME, "audio/mpeg", 'attachment; filename="a.mp3"')
    assert url.startswith(f"{storage.origin}/")
    assert SECRET_KEY not in url
    response = httpx.get(url, headers={"Range": "bytes=1-6"})
    assert (response.status_code, response.text) == (206, "script")
    assert response.headers["Content-Type"] == "audio/mpeg"
    assert response.headers["Content-Disposition"] == 'attachment; filename="a.mp3"'


@pytest.mark.covers("attack", "A signed URL of a recording is changed to show it as a page")
def test_headers_and_name_in_a_signed_url_cannot_be_changed(bucket: BucketFolder) -> None:
    storage = recording_storage()
    storage.save(NAME, ContentFile(b"<script>alert(1)</script>"))
    storage.save("recordings/b.source", ContentFile(b"confidential"))
    url = storage.signed_url(NAME, "audio/mpeg", "attachment")
    assert httpx.get(url).status_code == 200
    for changed in (
        url.replace("audio%2Fmpeg", "text%2Fhtml"),
        url.replace("a.source", "b.source"),
        url.replace("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
        url.split("?")[0],
    ):
        assert changed != url
        assert httpx.get(changed).status_code == 403
    assert httpx.delete(url).status_code == 403


@pytest.mark.covers("attack", "A client sends more to the storage than its upload has declared")
def test_part_of_another_length_is_refused(bucket: BucketFolder) -> None:
    multipart = recording_storage().multipart
    assert multipart
    upload_id = multipart.start(NAME)
    url = multipart.part_url(NAME, upload_id, 1, 1000)
    for length in (1001, 999):
        assert httpx.put(url, content=bytes(length)).status_code == 403
    assert multipart.parts(NAME, upload_id) == []
    assert httpx.put(url, content=bytes(1000)).status_code == 200
    assert [part.bytes for part in multipart.parts(NAME, upload_id)] == [1000]
    multipart.abort(NAME, upload_id)
    multipart.abort(NAME, upload_id)  # not an error
    assert bucket.keys() == []


# --- Faults -------------------------------------------------------------------------------------


def assert_unavailable(bucket: BucketFolder) -> str:
    """Every operation raises the same error. Return its text."""
    storage = recording_storage()
    reasons = []
    for operation in (
        lambda: storage.open(NAME),
        lambda: storage.size(NAME),
        lambda: storage.exists(NAME),
        lambda: storage.delete(NAME),
        lambda: list(storage.list_files("recordings")),
        lambda: storage.save(NAME, ContentFile(b"x")),
        storage.check_access,
    ):
        with pytest.raises(StorageUnavailable) as caught:
            operation()
        reasons.append(f"{caught.value!r} {caught.value.__cause__!r}")
    (message,) = check_storage()
    reasons.append(str(message))
    assert SECRET_KEY not in "".join(reasons)
    assert len({*reasons}) > 1
    return reasons[-1]


@pytest.mark.covers("fault", "The object storage is not running")
def test_closed_port_is_unavailable(
    bucket: BucketFolder, fault_proxy: FaultProxy, quick: None
) -> None:
    fault_proxy.close()
    bucket.use(port=fault_proxy.port)
    assert "Could not connect" in assert_unavailable(bucket)


@pytest.mark.covers("fault", "The object storage answers 503 to every request")
def test_503_is_unavailable(bucket: BucketFolder, fault_proxy: FaultProxy, quick: None) -> None:
    fault_proxy.unavailable = True
    bucket.use(port=fault_proxy.port)
    assert "503" in assert_unavailable(bucket)


@pytest.mark.covers("fault", "The object storage accepts connections and never answers")
def test_silence_is_unavailable(
    bucket: BucketFolder, fault_proxy: FaultProxy, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_client, "READ_TIMEOUT_S", 0.1)
    fault_proxy.silent = True
    bucket.use(port=fault_proxy.port)
    assert "timeout" in assert_unavailable(bucket)


@pytest.mark.covers("fault", "The credentials of the object storage are revoked")
def test_wrong_secret_is_unavailable(bucket: BucketFolder, quick: None) -> None:
    url = bucket.server.url(bucket.prefix)
    bucket.select(url.replace("cret", "cret2"), True)
    assert "SignatureDoesNotMatch" in assert_unavailable(bucket)


def test_missing_bucket_is_named_by_the_check(bucket: BucketFolder, quick: None) -> None:
    bucket.select(bucket.server.url(bucket.prefix).replace("@recordings?", "@nothing?"), True)
    (message,) = check_storage()
    assert "NoSuchBucket" in message.msg


@pytest.mark.covers("fault", "The connection to the object storage is lost during a download")
def test_download_continues_after_a_lost_connection(
    bucket: BucketFolder, fault_proxy: FaultProxy, tmp_path: Path
) -> None:
    content = CONTENT * 16  # more than the buffers of the sockets
    recording_storage().save(NAME, ContentFile(content))
    bucket.use(port=fault_proxy.port)
    with recording_storage().open(NAME) as file:
        fault_proxy.cut_after = 300_000
        assert b"".join(iter(lambda: file.read(100_000), b"")) == content
    assert fault_proxy.cut_after is None
