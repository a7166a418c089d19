"""How many recordings may wait, and the response when there is no room."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import Outcome, UsageRecord, User
from transcriptions.models import State, Transcription
from transcriptions.testing import (
    MP3,
    Headers,
    assign_plan,
    queue_many,
    send,
    set_state,
    stored_files,
    use_minutes,
)
from transcriptions.usage.queue_limits import MAX_RETRY_S, MIN_RETRY_S

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/transcriptions"
PATHS = [URL, "/api/transcribe", "/api/transcribe/stream", "/v1/audio/transcriptions"]


def refusal(response: Any) -> tuple[int, str, str]:
    """Status, code and message in either format. It must say when to try again."""
    assert MIN_RETRY_S <= int(response["Retry-After"]) <= MAX_RETRY_S
    body = response.json()
    error = body.get("error") or {"code": body["code"], "message": body["detail"]}
    return response.status_code, error["code"], error["message"]


@pytest.mark.covers("attack", "One account submits more recordings than may wait")
@pytest.mark.parametrize("path", PATHS)
def test_upload_is_429_if_too_many_recordings_of_the_account_wait(
    alice: User, bob: User, api: Client, token_of: Headers, settings: Any, path: str
) -> None:
    settings.MAX_WAITING_PER_ACCOUNT = 1200
    queue_many(alice, 1200)
    response = send(api, path, MP3, "a.mp3", model="whisper-1")
    status, code, message = refusal(response)
    assert (status, code) == (429, "account_queue_full")
    assert message.startswith("1,200 of your recordings are waiting, which is the limit.")
    assert Transcription.objects.count() == 1200
    assert stored_files(settings) == []
    assert send(Client(headers=token_of(bob)), URL, MP3, "a.mp3").status_code == 202


@pytest.mark.covers("attack", "Many accounts together submit more recordings than may wait")
@pytest.mark.parametrize("path", PATHS)
def test_upload_is_503_if_too_many_recordings_of_all_accounts_wait(
    bob: User, api: Client, settings: Any, path: str
) -> None:
    settings.MAX_WAITING = 20
    queue_many(bob, 20)
    response = send(api, path, MP3, "a.mp3", model="whisper-1")
    status, code, message = refusal(response)
    assert (status, code) == (503, "queue_full")
    assert "Try again later." in message
    assert Transcription.objects.count() == 20
    assert stored_files(settings) == []


def test_upload_box_gets_the_same_answer(alice: User, settings: Any, folders: None) -> None:
    settings.MAX_WAITING_PER_ACCOUNT = 1
    queue_many(alice, 1)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    browser.get("/")
    browser.defaults["HTTP_X_CSRFTOKEN"] = browser.cookies["csrftoken"].value
    assert refusal(send(browser, URL, MP3, "a.mp3"))[:2] == (429, "account_queue_full")


@pytest.mark.parametrize("state", [State.TRANSCRIBING, State.COMPLETED])
def test_recordings_that_do_not_wait_do_not_count(
    alice: User, api: Client, settings: Any, state: State
) -> None:
    settings.MAX_WAITING_PER_ACCOUNT = settings.MAX_WAITING = 1
    queue_many(alice, 3)
    set_state(state)
    assert send(api, URL, MP3, "a.mp3").status_code == 202


def test_failed_recording_is_not_resumed_into_a_full_queue(
    alice: User, bob: User, api: Client, settings: Any, prepared: Transcription
) -> None:
    set_state(State.FAILED)
    settings.MAX_WAITING = 5
    queue_many(bob, 5)
    assert refusal(api.post(f"{URL}/{prepared.id}/retry"))[:2] == (503, "queue_full")
    prepared.refresh_from_db()
    assert prepared.state == State.FAILED
    browser = Client()
    browser.force_login(alice)
    page = browser.post(f"/transcriptions/{prepared.id}/retry/", follow=True).content.decode()
    assert "Too many recordings are waiting at the moment." in page
    settings.MAX_WAITING = 6
    assert api.post(f"{URL}/{prepared.id}/retry").status_code == 202


def test_repeated_request_gets_its_recording_although_the_queue_is_full(
    api: Client, settings: Any
) -> None:
    settings.MAX_WAITING_PER_ACCOUNT = 1
    api.defaults["HTTP_IDEMPOTENCY_KEY"] = "first"
    first = send(api, URL, MP3, "a.mp3")
    again = send(api, URL, MP3, "a.mp3")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    api.defaults["HTTP_IDEMPOTENCY_KEY"] = "second"
    assert refusal(send(api, URL, MP3, "a.mp3"))[:2] == (429, "account_queue_full")


def test_wait_follows_from_the_recent_throughput(alice: User, api: Client, settings: Any) -> None:
    settings.MAX_WAITING = 2000
    settings.MAX_WAITING_PER_ACCOUNT = 1000
    queue_many(alice, 1000)

    def wait() -> int:
        return int(send(api, URL, MP3, "a.mp3")["Retry-After"])

    assert wait() == MAX_RETRY_S  # nothing has been processed recently
    for _ in range(30):
        UsageRecord.objects.create(
            user=alice, transcription=Transcription.objects.all()[0].id, outcome=Outcome.COMPLETED
        )
    assert wait() == 100  # 10 places, at 30 in 300 s


@pytest.mark.parametrize("limits", [{"max_jobs": 1}, {"monthly_minutes": 1}])
def test_limits_of_the_plan_are_checked_before_the_file_is_probed(
    alice: User, api: Client, settings: Any, limits: dict[str, int]
) -> None:
    assign_plan(alice, **limits)
    queue_many(alice, 1)
    use_minutes(alice, 1)
    response = send(api, URL, b"no recording at all", "a.mp3")
    assert response.status_code == 429
