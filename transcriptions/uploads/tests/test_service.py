"""Checks on uploads, titles, and what an accepted or refused upload leaves behind."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.db import DatabaseError, connection, transaction
from django.test import Client
from hypothesis import example, given
from hypothesis import strategies as st

from accounts.models import User
from accounts.text import JOINER
from transcodio_site.testing import Media
from transcriptions import queue
from transcriptions.media_formats import COMMON_FORMATS
from transcriptions.models import State, Transcription
from transcriptions.testing import MP3, Headers, send, stored_files
from transcriptions.uploads.service import (
    UploadRefused,
    check,
    check_language,
    create_transcription,
    title_of,
)

# --- Title and language -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filename", "title"),
    [
        ("talk.mp3", "talk"),
        ("talk.part1.mp3", "talk.part1"),
        ("talk", "talk"),
        ("/home/alice/talk.mp3", "talk"),
        ("..\\..\\talk.mp3", "talk"),
        ("C:\\Users\\Alice\\My talk.mp3", "My talk"),
        (".mp3", ".mp3"),
        (".hidden.mp3", ".hidden"),
        ("  talk .mp3", "talk"),
        ("a\x00b\x1bc\r\nd.mp3", "abc d"),
        ("Москва 日本 café.mp3", "Москва 日本 café"),
        ("3pm.\u202eexe.mp3", "3pm.exe"),  # right-to-left override
        ("\ud800talk.mp3", "talk"),
        ("<b>talk</b>.mp3", "b>"),
        ("", "Untitled recording"),
        ("/", "Untitled recording"),
        ("\u200b\u202e.mp3", "Untitled recording"),
        ("x" * 300 + ".mp3", "x" * 255),
    ],
)
def test_title_is_the_file_name_without_folder_and_extension(filename: str, title: str) -> None:
    assert title_of(filename) == title


@given(st.text(max_size=400))
@example("0\U000e0020")  # a tag character, as in the emoji of England's flag
def test_every_file_name_gives_a_printable_title(filename: str) -> None:
    title = title_of(filename)
    assert 0 < len(title) <= 255
    assert JOINER.sub("", title).isprintable()
    assert title.encode("utf-8")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", [f"talk.{'x' * 300}", f"{'ä' * 200}.{'ö' * 130}", "a/../talk.mp3"])
def test_upload_with_very_long_file_name_is_accepted(
    alice: User, token_of: Headers, folders: None, media: Media, name: str
) -> None:
    content = media.silence("silence.wav", 1).read_bytes()
    response = send(Client(headers=token_of(alice)), "/api/transcriptions", content, name)
    assert response.status_code == 202, response.content
    assert response.json()["title"]


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("", ""),
        ("auto", ""),
        (" AUTO ", ""),
        ("en", "en"),
        (" DE\n", "de"),
        ("yue", "yue"),
        ("en-US", "en"),
        ("nb_NO", "no"),
        ("English", "en"),
    ],
)
def test_language_is_normalized_and_auto_is_empty(language: str, code: str) -> None:
    assert check_language(language) == code


@pytest.mark.parametrize("language", ["klingon", "xx", "e" * 5000, "\x00"])
def test_unknown_language_is_422_with_a_hint(language: str) -> None:
    with pytest.raises(UploadRefused, match="Use a code such as en") as refused:
        check_language(language)
    assert (refused.value.status, refused.value.code) == (422, "unknown_language")
    assert len(str(refused.value)) < 200


# --- Storing ------------------------------------------------------------------------------------


@pytest.fixture
def enqueued(folders: None, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The name of each enqueued task with its recording's id."""
    calls: list[Any] = []
    monkeypatch.setattr(queue, "enqueue", lambda task, row_id: calls.append((task.name, row_id)))
    return calls


def stored(settings: Any) -> list[Path]:
    return [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]


def in_memory(content: bytes = MP3, name: str = "My talk.mp3") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_upload_is_stored_with_mode_0600_under_its_id(
    alice: User, enqueued: list[Any], settings: Any
) -> None:
    row = create_transcription(alice, in_memory(), "EN")
    row.refresh_from_db()
    assert (row.owner, row.title, row.state) == (alice, "My talk", State.QUEUED)
    assert (row.source_bytes, row.requested_language) == (len(MP3), "en")
    (path,) = stored(settings)
    assert path == Path(row.source.path) == settings.MEDIA_ROOT / "recordings" / f"{row.id}.source"
    assert path.read_bytes() == MP3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_upload_on_disk_is_moved_and_not_copied(
    alice: User, enqueued: list[Any], settings: Any
) -> None:
    upload = TemporaryUploadedFile("long.mp3", "audio/mpeg", len(MP3), None)
    upload.write(MP3)
    upload.flush()
    before = Path(upload.temporary_file_path()).stat().st_ino
    row = create_transcription(alice, upload)
    upload.close()
    assert Path(row.source.path).stat().st_ino == before
    assert stat.S_IMODE(Path(row.source.path).stat().st_mode) == 0o600
    assert list(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir()) == []


def test_task_is_enqueued_after_commit(
    alice: User, enqueued: list[Any], django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        row = create_transcription(alice, in_memory())
        assert enqueued == []
    assert enqueued == [("transcriptions.tasks.preprocess", row.id)]


def test_task_is_not_enqueued_after_rollback(
    alice: User, enqueued: list[Any], django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        with transaction.atomic():
            create_transcription(alice, in_memory())
            transaction.set_rollback(True)
    assert enqueued == []


def test_failed_insert_leaves_no_file(alice: User, enqueued: list[Any], settings: Any) -> None:
    def full(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith('INSERT INTO "transcriptions_transcription"'):
            assert len(stored(settings)) == 1
            raise DatabaseError("could not extend file: no space left on device")
        return execute(sql, *rest)

    with connection.execute_wrapper(full), pytest.raises(DatabaseError):
        create_transcription(alice, in_memory())
    assert stored(settings) == []
    assert enqueued == []


@pytest.mark.parametrize(
    ("content", "status", "code", "sentence"),
    [
        (b"", 400, "empty_file", "The file is empty"),
        (b"no recording", 415, "unsupported_format", COMMON_FORMATS),
        (MP3 + bytes(1024 * 1024), 413, "file_too_large", "larger than 1 MB.*split it"),
    ],
)
def test_refused_upload_leaves_no_file_and_no_row(
    alice: User,
    enqueued: list[Any],
    settings: Any,
    content: bytes,
    status: int,
    code: str,
    sentence: str,
) -> None:
    settings.MAX_FILE_SIZE_MB = 1
    with pytest.raises(UploadRefused, match=sentence) as refused:
        create_transcription(alice, in_memory(content))
    assert (refused.value.status, refused.value.code) == (status, code)
    assert stored(settings) == []
    assert not Transcription.objects.exists()


@pytest.mark.parametrize("content", [b"Dear diary, today", b"\xff\xfb\x90\x64" + bytes(5000)])
def test_file_that_is_not_media_is_415_from_disk_and_from_memory(
    alice: User, folders: None, settings: Any, content: bytes
) -> None:
    on_disk = TemporaryUploadedFile("talk.mp3", "audio/mpeg", len(content), None)
    on_disk.write(content)  # not flushed
    for upload in (on_disk, in_memory(content, "talk.mp3")):
        with pytest.raises(
            UploadRefused, match=f"not a recording .* Upload {COMMON_FORMATS}"
        ) as refused:
            check(upload, alice)
        assert (refused.value.status, refused.value.code) == (415, "unsupported_format")
    on_disk.close()
    assert stored_files(settings) == []


def test_mp3_after_padding_of_5000_bytes_is_accepted(
    alice: User, enqueued: list[Any], settings: Any
) -> None:
    create_transcription(alice, in_memory(bytes(5000) + MP3))
    (path,) = stored_files(settings)
    assert path.read_bytes() == bytes(5000) + MP3


def test_file_of_exactly_the_limit_is_accepted(
    alice: User, enqueued: list[Any], settings: Any
) -> None:
    settings.MAX_FILE_SIZE_MB = 1
    assert (
        create_transcription(alice, in_memory(MP3.ljust(1024 * 1024, b"\0"))).source_bytes
        == 1024 * 1024
    )


def test_upload_with_unknown_language_leaves_no_file(
    alice: User, enqueued: list[Any], settings: Any
) -> None:
    with pytest.raises(UploadRefused):
        create_transcription(alice, in_memory(), "klingon")
    assert stored(settings) == []


@pytest.mark.django_db(transaction=True)
def test_upload_for_deleted_account_is_401_and_leaves_no_file(
    alice: User, folders: None, settings: Any
) -> None:
    User.objects.get().delete()
    with pytest.raises(UploadRefused, match="has been deleted") as refusal:
        create_transcription(alice, SimpleUploadedFile("a.mp3", MP3))
    assert refusal.value.status == 401
    assert stored_files(settings) == []
    assert not Transcription.objects.exists()
