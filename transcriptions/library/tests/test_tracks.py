"""The page of a recording with several audio tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from transcriptions.exceptions import STORAGE_UNAVAILABLE_MESSAGE, StorageUnavailable
from transcriptions.models import Transcription
from transcriptions.storage.local import LocalStorage
from transcriptions.testing import assign_plan, stored_files

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def film(finished: Transcription) -> Transcription:
    """A finished recording with two audio tracks, of which the first one was transcribed."""
    kinds: list[dict[str, Any]] = [
        {"language": "eng", "title": None, "default": True, "chosen": True},
        {"language": None, "title": "<b>Director</b>", "default": False, "chosen": False},
    ]
    tracks = [{"index": n, "codec": "aac", "channels": 2} | kind for n, kind in enumerate(kinds)]
    Transcription.objects.update(tracks=tracks, stored_options={"prompt": "Names"})
    return Transcription.objects.get()


def test_page_shows_which_track_was_transcribed(browser: Client, film: Transcription) -> None:
    page = browser.get(f"/transcriptions/{film.id}/").content.decode()
    assert '<option value="0" selected>1, eng (transcribed)</option>' in page
    assert '<option value="1">2, &lt;b&gt;Director&lt;/b&gt;</option>' in page
    assert "Transcribe this track" in page


def test_page_of_one_track_offers_no_choice(browser: Client, film: Transcription) -> None:
    Transcription.objects.update(tracks=film.tracks[:1])
    assert "Audio track" not in browser.get(f"/transcriptions/{film.id}/").content.decode()


def test_another_track_becomes_a_recording_of_its_own(browser: Client, film: Transcription) -> None:
    response = browser.post(f"/transcriptions/{film.id}/recognize/", {"track": "1"})
    created = Transcription.objects.exclude(id=film.id).get()
    assert response["Location"] == f"/transcriptions/{created.id}/"
    assert created.title == "Ten seconds, audio track 2"
    assert (created.options.track, created.options.prompt) == (1, "Names")
    assert Path(created.source.path).read_bytes() == Path(film.source.path).read_bytes()
    film.delete()
    assert Path(created.source.path).exists()


@pytest.mark.parametrize("track", ["2", "-1", "", "first"])
def test_unknown_track_is_refused(
    browser: Client, film: Transcription, settings: Any, track: str
) -> None:
    files = stored_files(settings)
    response = browser.post(f"/transcriptions/{film.id}/recognize/", {"track": track}, follow=True)
    assert "There is no such audio track in this recording." in response.content.decode()
    assert Transcription.objects.count() == 1
    assert stored_files(settings) == files


def test_track_of_deleted_audio_is_refused(browser: Client, film: Transcription) -> None:
    Transcription.objects.update(source="")
    page = browser.post(f"/transcriptions/{film.id}/recognize/", {"track": "1"}, follow=True)
    assert "has been deleted" in page.content.decode()
    assert "Transcribe this track" not in page.content.decode()


def test_full_storage_leaves_no_copy(
    browser: Client, alice: User, film: Transcription, settings: Any
) -> None:
    Transcription.objects.update(source_bytes=2 << 20)
    assign_plan(alice, max_storage_mb=3)
    files = stored_files(settings)
    response = browser.post(f"/transcriptions/{film.id}/recognize/", {"track": "1"}, follow=True)
    assert "stores up to 3 MB" in response.content.decode()
    assert stored_files(settings) == files


@pytest.mark.covers("fault", "The storage is unavailable while a recording is recognized again")
def test_storage_error_is_logged_and_not_shown(
    browser: Client,
    film: Transcription,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*args: Any) -> None:
        raise StorageUnavailable("EndpointConnectionError: https://minio.internal:9000")

    monkeypatch.setattr(LocalStorage, "open", refuse)
    page = browser.post(f"/transcriptions/{film.id}/recognize/", {"track": "1"}, follow=True)
    assert "minio.internal" not in page.content.decode()
    assert str(STORAGE_UNAVAILABLE_MESSAGE) in page.content.decode()
    assert "minio.internal" in caplog.text
