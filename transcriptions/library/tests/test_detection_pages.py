"""Detection of speakers on the page of a completed recording."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from transcriptions.models import DiarizationJob, Transcription
from transcriptions.processing import commands, diarization_jobs

pytestmark = pytest.mark.django_db(transaction=True)


def page(browser: Client, row: Transcription) -> str:
    return browser.get(f"/transcriptions/{row.id}/").content.decode()


def state(browser: Client, row: Transcription) -> str:
    """What the page polls."""
    response = browser.get(f"/transcriptions/{row.id}/speakers/detection/")
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(("posted", "count"), [("2", 2), ("", None), ("11", None), ("x", None)])
def test_form_asks_for_a_detection(
    browser: Client, finished: Transcription, posted: str, count: int | None
) -> None:
    assert "data-finished" in page(browser, finished)
    url = f"/transcriptions/{finished.id}/speakers/detect/"
    assert browser.post(url, {"speakers": posted}).status_code == 302
    job = DiarizationJob.objects.get()
    assert (job.min_speakers, job.max_speakers) == (count, count)


def test_page_follows_the_detection(browser: Client, finished: Transcription) -> None:
    assert state(browser, finished).strip() == ""
    commands.detect_speakers(finished)
    html = page(browser, finished)
    assert "data-finished" not in html
    assert "Waiting to detect speakers…" in html
    assert re.search(r"<confirm-dialog data-completed hidden>\s*<button[^>]*>Detect", html)
    job = diarization_jobs.claim_next()
    assert job
    assert "Detecting speakers…" in state(browser, finished)
    diarization_jobs.mark_failed(job, "<No> luck.")
    assert "&lt;No&gt; luck." in state(browser, finished)
    assert "hx-get" not in state(browser, finished)
    assert "&lt;No&gt; luck." in page(browser, finished)


def test_detection_is_cancelled(browser: Client, finished: Transcription) -> None:
    commands.detect_speakers(finished)
    url = f"/transcriptions/{finished.id}/speakers/detect/cancel/"
    assert browser.post(url).status_code == 302
    assert not DiarizationJob.objects.exists()
    assert browser.post(url).status_code == 302


def test_reason_of_a_refusal_is_shown(browser: Client, finished: Transcription) -> None:
    commands.delete_audio(finished)
    url = f"/transcriptions/{finished.id}/speakers/detect/"
    response = browser.post(url, follow=True)
    assert "The audio of this recording has been deleted." in response.content.decode()
    assert 'id="detect-title"' not in response.content.decode()
