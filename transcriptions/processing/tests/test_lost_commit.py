"""A COMMIT whose answer is lost: the row may be committed, so its file stays."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError

from accounts.models import User
from transcodio_site.testing import Media
from transcriptions.models import State, Transcription
from transcriptions.operations.orphaned_files import delete_orphaned_files
from transcriptions.processing import lifecycle, pipeline
from transcriptions.processing.tests.helpers import fresh
from transcriptions.processing.tests.lost_commit import lost_commit
from transcriptions.testing import MP3, Upload, stored_files
from transcriptions.uploads.service import create_transcription
from transcriptions.usage import quotas

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """Unix socket paths are limited to about 100 characters, and `tmp_path` can be longer."""
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        yield Path(folder)


@pytest.mark.covers("fault", "The answer to the COMMIT of an upload is lost")
def test_uploaded_file_stays_when_the_answer_to_its_commit_is_lost(
    alice: User, folders: None, socket_folder: Path
) -> None:
    with lost_commit(socket_folder) as armed:
        User.objects.get()  # connects
        armed.set()
        with pytest.raises(OperationalError):
            create_transcription(alice, SimpleUploadedFile("a.mp3", MP3))
    assert Path(Transcription.objects.get().source.path).read_bytes() == MP3


@pytest.mark.covers("fault", "The answer to the COMMIT of prepared audio is lost")
def test_prepared_audio_stays_when_the_answer_to_its_commit_is_lost(
    upload: Upload, media: Media, socket_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = upload(media.silence("one.wav", 1))
    with lost_commit(socket_folder) as armed:
        reserve = quotas.reserve

        def arm(*arguments: Any) -> None:
            reserve(*arguments)
            armed.set()

        monkeypatch.setattr(quotas, "reserve", arm)  # in the transaction that will be lost
        assert not pipeline.preprocess(row.id)
    row = fresh(row)
    assert row.state == State.PREPARED
    assert Path(row.audio.path).exists()


@pytest.mark.covers("fault", "The connection to the database is lost before a COMMIT")
def test_file_of_a_lost_transaction_is_found_as_orphaned(
    upload: Upload, media: Media, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = upload(media.silence("one.wav", 1))

    def lose_connection(*arguments: Any, **values: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "mark_prepared", lose_connection)
        assert not pipeline.preprocess(row.id)
    assert fresh(row).audio == ""
    assert len(stored_files(settings)) == 2
    monkeypatch.setattr("transcriptions.operations.orphaned_files.MIN_AGE", timedelta(days=-1))
    delete_orphaned_files()
    assert [path.name for path in stored_files(settings)] == [f"{row.id}.source"]
