"""Detection of the speakers of a completed recording over the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from transcriptions.models import DiarizationJob, State, Transcription
from transcriptions.processing import commands, diarization_jobs
from transcriptions.testing import set_state

pytestmark = pytest.mark.django_db(transaction=True)


def post(api: Client, row: Transcription, body: Any = None) -> Any:
    url = f"/api/transcriptions/{row.id}/speakers/detect"
    return api.post(url, body or {}, content_type="application/json")


def detection(api: Client, row: Transcription) -> Any:
    """The state of the detection in the transcript."""
    return api.get(f"/api/transcriptions/{row.id}").json()["speaker_detection"]


def test_request_is_accepted_and_its_state_is_shown(api: Client, finished: Transcription) -> None:
    assert detection(api, finished) is None
    response = post(api, finished, {"speakers": 2})
    assert (response.status_code, response.json()) == (202, {"state": "waiting", "error": None})
    assert detection(api, finished) == response.json()
    job = diarization_jobs.claim_next()
    assert job
    assert (job.min_speakers, job.max_speakers) == (2, 2)
    assert detection(api, finished) == {"state": "running", "error": None}
    diarization_jobs.mark_failed(job, "No luck.")
    assert detection(api, finished) == {"state": "failed", "error": "No luck."}


def test_repeated_request_changes_nothing(api: Client, finished: Transcription) -> None:
    assert post(api, finished, {"speakers": 2}).status_code == 202
    before = DiarizationJob.objects.values().get()
    response = post(api, finished, {"max_speakers": 3})
    assert (response.status_code, response.json()["state"]) == (202, "waiting")
    assert DiarizationJob.objects.values().get() == before


def test_detection_is_cancelled(api: Client, finished: Transcription) -> None:
    url = f"/api/transcriptions/{finished.id}/speakers/detect"
    post(api, finished)
    for _ in range(2):
        assert api.delete(url).status_code == 204
        assert detection(api, finished) is None


@pytest.mark.parametrize("reason", ["not_completed", "audio_deleted", "no_speech"])
def test_what_is_impossible_is_409(api: Client, finished: Transcription, reason: str) -> None:
    match reason:
        case "not_completed":
            set_state(State.FAILED)
        case "audio_deleted":
            commands.delete_audio(finished)
        case "no_speech":
            finished.segments.all().delete()
    response = post(api, finished)
    assert (response.status_code, response.json()["code"]) == (409, reason)


@pytest.mark.parametrize(
    "body",
    ['"text"', "[]", '{"speakers": 0}', '{"speakers": 21}', '{"speakers": "2"}', '{"diarize": 1}'],
)
def test_invalid_bodies_are_422(api: Client, finished: Transcription, body: str) -> None:
    assert post(api, finished, body).status_code == 422
    assert not DiarizationJob.objects.exists()


def test_numbers_that_contradict_each_other_are_422(api: Client, finished: Transcription) -> None:
    response = post(api, finished, {"min_speakers": 3, "max_speakers": 2})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_speakers")


def test_full_queue_of_the_account_is_429(
    api: Client, finished: Transcription, settings: Any
) -> None:
    settings.MAX_WAITING_PER_ACCOUNT = 0
    response = post(api, finished)
    assert (response.status_code, response.json()["code"]) == (429, "account_queue_full")
