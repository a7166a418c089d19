"""The front door: what is refused while the person still waits, and what is left behind."""

from __future__ import annotations

import random
import stat
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.db import DatabaseError, connection, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from transcodio_site.testing import Media
from transcriptions import queue
from transcriptions.models import State, Transcription
from transcriptions.testing import Headers, send, stored_files
from transcriptions.uploads.service import (
    FORMATS,
    HEAD,
    UploadRefused,
    check_language,
    create_transcription,
    looks_like_media,
    title_of,
)

FLAC = b"fLaC" + bytes(100)
NO_TAG = ("-id3v2_version", "0", "-write_id3v1", "0")

# --- Format -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tagged.mp3", ()),
        ("mpeg1.mp3", ("-ar", "44100", "-b:a", "128k", *NO_TAG)),
        ("loud.mp3", ("-ar", "48000", "-b:a", "320k", *NO_TAG)),
        ("variable.mp3", ("-ar", "32000", "-q:a", "4", *NO_TAG)),
        ("mpeg2.mp3", ("-ar", "22050", "-b:a", "64k", *NO_TAG)),
        ("mpeg25.mp3", ("-ar", "8000", "-b:a", "8k", *NO_TAG)),
        ("plain.wav", ()),
        ("large.wav", ("-rf64", "always")),
        ("plain.m4a", ()),
        ("fast.mp4", ("-movflags", "faststart")),
        ("plain.mov", ()),
        ("plain.flac", ()),
        ("plain.ogg", ()),
        ("plain.opus", ()),
        ("plain.webm", ()),
    ],
)
def test_every_promised_format_is_let_in(media: Media, name: str, options: tuple[str, ...]) -> None:
    whole = media.speech(f"door-{name}", 3, *options).read_bytes()
    assert looks_like_media(whole[:HEAD])


@pytest.mark.parametrize("before", [b"", bytes(1000), b"\x01\xff\x00", b"half a frame \xff\xfb"])
def test_an_mp3_may_begin_with_something_else(media: Media, before: bytes) -> None:
    whole = media.speech("door-bare.mp3", 3, "-b:a", "64k", *NO_TAG).read_bytes()
    assert looks_like_media((before + whole)[:HEAD])
    assert looks_like_media((before + whole[100:])[:HEAD])


def a_zip() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", random.Random(1).randbytes(5000).hex())
    return out.getvalue()


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff",
        b"Dear diary, today I made no recording.",
        b"For free or for money",  # `free` is where an MP4 would have it
        "Grüße".encode("utf-16"),
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        a_zip(),
        b'{"type": "recording"}',
        b"#EXTM3U\n#EXTINF:2.0,\nhttp://example.com/a.ts\n",
        b"ffconcat version 1.0\nfile 'a.wav'\n",
        b"<!DOCTYPE html><html></html>",
        b"RIFF\x24\x00\x00\x00AVI LIST",
        b"\x7fELF\x02\x01\x01",
        b"GIF89a",
        b"\xff\xf1\x50\x80" * 100,  # AAC without a container
    ],
)
def test_what_is_no_recording_is_not_let_in(head: bytes) -> None:
    assert not looks_like_media(head)


@pytest.mark.parametrize("name", ["noise.png", "noise.jpg"])
def test_pictures_are_not_let_in(media: Media, name: str) -> None:
    noise = ("-f", "lavfi", "-i", "nullsrc=s=320x240,geq=random(1)*255:128:128")
    picture = media.make(name, *noise, "-frames:v", "1").read_bytes()
    assert len(picture) > HEAD
    assert not looks_like_media(picture[:HEAD])


def test_compressed_data_is_not_taken_for_mp3() -> None:
    numbers = random.Random(7)
    assert not any(looks_like_media(b"x" + numbers.randbytes(HEAD - 1)) for _ in range(200))


@given(st.binary(max_size=200))
def test_no_head_makes_it_fail(head: bytes) -> None:
    assert looks_like_media(head) in (True, False)


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
        ("3pm.\u202eexe.mp3", "3pm.exe"),  # it would turn round what follows
        ("\ud800talk.mp3", "talk"),
        ("<b>talk</b>.mp3", "b>"),
        ("", "Untitled recording"),
        ("/", "Untitled recording"),
        ("\u200b\u202e.mp3", "Untitled recording"),
        ("x" * 300 + ".mp3", "x" * 255),
    ],
)
def test_the_title_is_what_a_person_called_it(filename: str, title: str) -> None:
    assert title_of(filename) == title


@given(st.text(max_size=400))
def test_every_file_name_gives_a_title_that_can_be_stored_and_shown(filename: str) -> None:
    title = title_of(filename)
    assert 0 < len(title) <= 255
    assert title.isprintable()
    assert title.encode("utf-8")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", [f"talk.{'x' * 300}", f"{'ä' * 200}.{'ö' * 130}", "a/../talk.mp3"])
def test_a_recording_is_taken_whatever_its_name(
    alice: User, token_of: Headers, folders: None, media: Media, name: str
) -> None:
    content = media.silence("silence.wav", 1).read_bytes()
    answer = send(Client(headers=token_of(alice)), "/api/transcriptions", content, name)
    assert answer.status_code == 202, answer.content
    assert answer.json()["title"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("", ""),
        ("auto", ""),
        (" AUTO ", ""),
        ("en", "en"),
        (" DE\n", "de"),
        ("yue", "yue"),
        ("en-US", "en"),
    ],
)
def test_a_language_is_a_code_or_to_be_found_out(given: str, code: str) -> None:
    assert check_language(given) == code


@pytest.mark.parametrize("language", ["english", "english-US", "xx", "e" * 5000, "\x00"])
def test_an_unknown_language_is_refused_with_a_hint(language: str) -> None:
    with pytest.raises(UploadRefused, match="Use a code such as en") as refused:
        check_language(language)
    assert (refused.value.status, refused.value.code) == (422, "unknown_language")
    assert len(str(refused.value)) < 200


# --- Taking in ----------------------------------------------------------------------------------


@pytest.fixture
def rung(folders: None, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tasks and ids for which the bell was rung; the folders are those of the test."""
    ids: list[Any] = []
    monkeypatch.setattr(queue, "enqueue", lambda task, id: ids.append((task.name, id)))
    return ids


def stored(settings: Any) -> list[Path]:
    return [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]


def an_upload(content: bytes = FLAC, name: str = "My talk.flac") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_a_recording_is_stored_for_its_owner_alone(
    alice: User, rung: list[Any], settings: Any
) -> None:
    row = create_transcription(alice, an_upload(), "EN")
    row.refresh_from_db()
    assert (row.owner, row.title, row.state) == (alice, "My talk", State.QUEUED)
    assert (row.source_bytes, row.requested_language) == (len(FLAC), "en")
    (path,) = stored(settings)
    assert path == Path(row.source.path) == settings.MEDIA_ROOT / "recordings" / f"{row.id}.source"
    assert path.read_bytes() == FLAC
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_large_upload_is_moved_and_not_copied(
    alice: User, rung: list[Any], settings: Any
) -> None:
    upload = TemporaryUploadedFile("long.flac", "audio/flac", len(FLAC), None)
    upload.write(FLAC)
    upload.flush()
    before = Path(upload.temporary_file_path()).stat().st_ino
    row = create_transcription(alice, upload)
    upload.close()
    assert Path(row.source.path).stat().st_ino == before
    assert stat.S_IMODE(Path(row.source.path).stat().st_mode) == 0o600
    assert list(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir()) == []


def test_the_bell_rings_only_after_commit(
    alice: User, rung: list[Any], django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        row = create_transcription(alice, an_upload())
        assert rung == []
    assert rung == [("transcriptions.tasks.preprocess", row.id)]


def test_the_bell_does_not_ring_for_what_was_rolled_back(
    alice: User, rung: list[Any], django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        with transaction.atomic():
            create_transcription(alice, an_upload())
            transaction.set_rollback(True)
    assert rung == []


def test_a_failing_database_leaves_no_file(alice: User, rung: list[Any], settings: Any) -> None:
    def full(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith('INSERT INTO "transcriptions_transcription"'):
            assert len(stored(settings)) == 1
            raise DatabaseError("could not extend file: no space left on device")
        return execute(sql, *rest)

    with connection.execute_wrapper(full), pytest.raises(DatabaseError):
        create_transcription(alice, an_upload())
    assert stored(settings) == []
    assert rung == []


@pytest.mark.parametrize(
    ("content", "status", "code", "sentence"),
    [
        (b"", 400, "empty_file", "The file is empty"),
        (b"no recording", 415, "unsupported_format", FORMATS),
        (b"fLaC" + bytes(1024 * 1024), 413, "file_too_large", "larger than 1 MB.*split it"),
    ],
)
def test_what_is_refused_is_told_why_and_leaves_nothing(
    alice: User,
    rung: list[Any],
    settings: Any,
    content: bytes,
    status: int,
    code: str,
    sentence: str,
) -> None:
    settings.MAX_FILE_SIZE_MB = 1
    with pytest.raises(UploadRefused, match=sentence) as refused:
        create_transcription(alice, an_upload(content))
    assert (refused.value.status, refused.value.code) == (status, code)
    assert stored(settings) == []
    assert not Transcription.objects.exists()


def test_the_largest_allowed_file_is_taken(alice: User, rung: list[Any], settings: Any) -> None:
    settings.MAX_FILE_SIZE_MB = 1
    assert (
        create_transcription(alice, an_upload(FLAC.ljust(1024 * 1024, b"\0"))).source_bytes
        == 1024 * 1024
    )


def test_an_unknown_language_leaves_nothing(alice: User, rung: list[Any], settings: Any) -> None:
    with pytest.raises(UploadRefused):
        create_transcription(alice, an_upload(), "klingon")
    assert stored(settings) == []


@pytest.mark.django_db(transaction=True)
def test_an_account_that_ends_meanwhile_leaves_nothing_behind(
    alice: User, folders: None, settings: Any
) -> None:
    User.objects.get().delete()
    with pytest.raises(UploadRefused, match="does not exist any more") as refusal:
        create_transcription(alice, SimpleUploadedFile("a.flac", FLAC))
    assert refusal.value.status == 401
    assert stored_files(settings) == []
    assert not Transcription.objects.exists()
