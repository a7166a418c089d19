"""Quotas: what a plan and a token allow, checked before processing."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.formats import date_format

from accounts.models import Outcome, UsageRecord, User
from accounts.tokens import issue_token
from accounts.usage import ledger
from transcodio_site.testing import Media
from transcriptions.models import State, Transcription
from transcriptions.processing import commands, loudness, pipeline
from transcriptions.testing import (
    MP3,
    ScriptedEngine,
    Upload,
    assign_plan,
    charged_ms,
    prepare_again,
    send,
    set_state,
    stored_files,
    use_minutes,
)
from transcriptions.usage.quotas import NotEnoughLeft
from transcriptions.waveform import Waveform

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/transcriptions"


@pytest.mark.parametrize("path", [URL, "/api/transcribe", "/v1/audio/transcriptions"])
def test_upload_without_minutes_left_is_429(
    alice: User, api: Client, settings: Any, path: str
) -> None:
    assign_plan(alice, monthly_minutes=10)
    use_minutes(alice, 10)
    response = send(api, path, MP3, "a.mp3", model="whisper-1")
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    body = response.json() if path.startswith("/api") else response.json()["error"]
    assert body["code"] == "quota_exceeded"
    message = body.get("detail") or body["message"]
    assert message.startswith("The monthly limit of your plan (10 minutes) is used up.")
    reset = ledger.month_bounds(timezone.now())[1]
    assert reset.day == 1
    assert f"It resets on {date_format(reset, 'DATE_FORMAT')}." in message
    assert not Transcription.objects.exists()
    assert stored_files(settings) == []


def test_monthly_limit_of_a_token_spares_other_tokens(alice: User, folders: None) -> None:
    token, secret = issue_token(alice, monthly_minutes=5)
    use_minutes(alice, 5, token)
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    response = send(client, URL, MP3, "a.mp3")
    assert response.status_code == 429
    assert "The monthly limit of this token (5 minutes)" in response.json()["detail"]
    other = Client(headers={"Authorization": f"Bearer {issue_token(alice)[1]}"})
    assert send(other, URL, MP3, "a.mp3").status_code == 202


def test_upload_larger_than_the_plan_allows_is_413(alice: User, api: Client, settings: Any) -> None:
    assign_plan(alice, max_file_mb=1)
    response = send(api, URL, MP3 * 2000, "a.mp3")
    assert (response.status_code, response.json()["code"]) == (413, "file_too_large")
    assert "larger than 1 MB" in response.json()["detail"]
    assert stored_files(settings) == []


@pytest.mark.covers("attack", "One account fills the disk with uploads")
def test_upload_that_does_not_fit_into_the_storage_of_the_plan_is_413(
    alice: User, api: Client, settings: Any
) -> None:
    assign_plan(alice, max_storage_mb=1)
    content = MP3 * 800  # more than half a megabyte
    first = send(api, URL, content, "a.mp3").json()["id"]
    response = send(api, URL, content, "b.mp3")
    assert (response.status_code, response.json()["code"]) == (413, "storage_full")
    assert "stores up to 1 MB" in response.json()["detail"]
    assert len(stored_files(settings)) == Transcription.objects.count() == 1
    usage = api.get("/api/usage").json()
    assert (usage["stored_bytes"], usage["storage_quota_bytes"]) == (len(content), 1 << 20)
    set_state(State.COMPLETED)
    commands.delete_audio(Transcription.objects.get(id=first))
    assert api.get("/api/usage").json()["stored_bytes"] == 0
    assert send(api, URL, content, "b.mp3").status_code == 202


@pytest.mark.covers("attack", "Hours of silence are uploaded again and again, free of charge")
def test_audio_processed_without_a_charge_has_a_monthly_limit(
    alice: User, api: Client, upload: Upload, media: Media
) -> None:
    assign_plan(alice, monthly_minutes=1)
    silence = media.silence("silence.wav", 35)
    first = upload(silence)
    assert pipeline.preprocess(first.id)
    assert pipeline.transcribe(first.id)
    assert charged_ms(alice) == 0
    second = upload(silence)
    assert not pipeline.preprocess(second.id)
    second.refresh_from_db()
    assert second.error_code == "quota_exceeded"
    assert "for audio that is not charged (1 minute)" in second.error_message
    first.delete()  # gives nothing back
    third = upload(media.silence("short.wav", 25))
    assert pipeline.preprocess(third.id)
    commands.cancel(Transcription.objects.get(id=third.id))
    response = send(api, URL, MP3, "a.mp3")
    assert (response.status_code, response.json()["code"]) == (429, "quota_exceeded")
    assert "audio that is not charged (1 minute) is used up" in response.json()["detail"]


def test_charged_audio_does_not_count_as_uncharged(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    assert pipeline.transcribe(prepared.id)
    assert (charged_ms(alice), ledger.uncharged_ms(alice.pk, timezone.now())) == (10_000, 0)


def test_cancelled_part_counts_as_uncharged(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    cancel_after_two_segments(prepared, engine)
    assert ledger.uncharged_ms(alice.pk, timezone.now()) == 8100


def test_cancellation_frees_a_job(alice: User, api: Client, prepared: Transcription) -> None:
    assign_plan(alice, max_jobs=1)
    assert send(api, URL, MP3, "a.mp3").status_code == 429
    commands.cancel(prepared)
    assert send(api, URL, MP3, "a.mp3").status_code == 202


@pytest.mark.parametrize(
    ("limits", "text", "megabytes"),
    [
        ({}, "Up to 500 MB and 4 hours per file.", 500),
        ({"max_file_mb": 20, "max_minutes": 30}, "Up to 20 MB and 30 minutes per file.", 20),
        ({"max_file_mb": 900, "max_minutes": 60}, "Up to 500 MB and 1 hour per file.", 500),
        ({"max_minutes": 100}, "Up to 500 MB and 100 minutes per file.", 500),
    ],
)
def test_upload_page_shows_the_limits_of_the_plan(
    alice: User, client: Client, settings: Any, limits: dict[str, int], text: str, megabytes: int
) -> None:
    settings.MAX_FILE_SIZE_MB, settings.MAX_DURATION_SECONDS = 500, 4 * 3600
    assign_plan(alice, **limits)
    client.force_login(alice)
    page = client.get("/").content.decode()
    assert text in page
    assert f'data-max-megabytes="{megabytes}"' in page


def test_recording_longer_than_the_minutes_left_is_not_transcribed(
    alice: User, upload: Upload, media: Media, engine: ScriptedEngine, settings: Any
) -> None:
    assign_plan(alice, monthly_minutes=10)
    use_minutes(alice, 9.95)
    row = upload(media.speech("speech.mp3", 6))
    assert not pipeline.preprocess(row.id)
    row.refresh_from_db()
    assert (row.state, row.error_code) == (State.FAILED, "quota_exceeded")
    assert row.error_message.startswith(
        "The recording is 0:06 long, "
        "but only 0:03 of the monthly limit of your plan (10 minutes) is left. It resets on "
    )
    assert engine.calls == []
    assert [path.suffix for path in stored_files(settings)] == [".source"]


def test_recording_longer_than_the_plan_allows_is_refused(
    alice: User, upload: Upload, media: Media
) -> None:
    assign_plan(alice, max_minutes=1)
    row = upload(media.silence("long.wav", 61))
    assert not pipeline.preprocess(row.id)
    row.refresh_from_db()
    assert (row.state, row.error_code) == (State.FAILED, "too_long")
    assert "1:01 long. Your plan (Small) allows 1 minute." in row.error_message


def test_account_deleted_during_preprocessing_is_not_a_failure(
    alice: User,
    upload: Upload,
    media: Media,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    row = upload(media.silence("ten.wav", 10))
    monkeypatch.setattr(loudness, "waveform_of", lambda _: alice.delete() and Waveform())
    assert not pipeline.preprocess(row.id)
    assert not Transcription.objects.exists()
    assert f"{row.id}: deleted" in caplog.text
    assert "unexpected error" not in caplog.text


def test_retry_checks_the_quota(alice: User, api: Client, prepared: Transcription) -> None:
    set_state(State.FAILED)
    assign_plan(alice, monthly_minutes=10)
    use_minutes(alice, 9.9)
    response = api.post(f"{URL}/{prepared.id}/retry")
    assert (response.status_code, response.json()["code"]) == (429, "quota_exceeded")
    assert int(response["Retry-After"]) > 0
    prepared.refresh_from_db()
    assert prepared.state == State.FAILED
    use_minutes(alice, 0.1)
    assert api.post(f"{URL}/{prepared.id}/retry").status_code == 429


def cancel_after_two_segments(row: Transcription, engine: ScriptedEngine) -> None:
    """Two segments are charged: 1.9 of 10 seconds."""
    engine.before[3] = lambda: commands.cancel(Transcription.objects.get(id=row.id))
    pipeline.transcribe(row.id)
    engine.before.clear()
    row.refresh_from_db()
    assert (row.state, charged_ms(row.owner)) == (State.CANCELLED, 1900)


@pytest.mark.parametrize(("left_s", "fits"), [(8.1, True), (8.099, False)])
def test_resumed_recording_needs_minutes_only_for_the_uncharged_part(
    alice: User, prepared: Transcription, engine: ScriptedEngine, left_s: float, fits: bool
) -> None:
    cancel_after_two_segments(prepared, engine)
    assign_plan(alice, monthly_minutes=1)
    use_minutes(alice, (60 - 1.9 - left_s) / 60)
    if not fits:
        message = "has 0:08 of 0:10 left to transcribe, but only 0:08 of"
        with pytest.raises(NotEnoughLeft, match=message):
            commands.retry(prepared)
        return
    commands.retry(prepared)
    prepare_again(prepared)
    assert pipeline.transcribe(prepared.id)
    assert charged_ms(alice) == 60_000


def test_resumed_recording_reserves_only_the_uncharged_part(
    alice: User, upload: Upload, media: Media, prepared: Transcription, engine: ScriptedEngine
) -> None:
    cancel_after_two_segments(prepared, engine)
    assign_plan(alice, monthly_minutes=1)
    use_minutes(alice, 43 / 60)  # 1.9 s charged and 8.1 s reserved leave 7 s
    commands.retry(prepared)
    prepare_again(prepared)
    assert pipeline.preprocess(upload(media.speech("speech.mp3", 6)).id)


def test_fully_charged_recording_can_be_resumed_without_minutes_left(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    cancel_after_two_segments(prepared, engine)
    Transcription.objects.update(duration=1.9)
    assign_plan(alice, monthly_minutes=1)
    use_minutes(alice, 58.1 / 60)
    prepared.refresh_from_db()
    commands.retry(prepared)
    prepared.refresh_from_db()
    assert prepared.state == State.QUEUED


def use_uncharged_seconds(user: User, seconds: float) -> None:
    record = UsageRecord(
        user=user,
        transcription="00000000-0000-4000-8000-000000000000",
        outcome=Outcome.CANCELLED,
        uncharged_ms=round(seconds * 1000),
        reason="A test.",
    )
    ledger.write_record(record)


def test_cancelled_part_no_longer_counts_as_uncharged_after_it_is_charged(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    assign_plan(alice, monthly_minutes=1)
    cancel_after_two_segments(prepared, engine)
    use_uncharged_seconds(alice, 51.9)
    commands.retry(prepared)
    prepare_again(prepared)
    commands.cancel(Transcription.objects.get(id=prepared.id))
    prepared.refresh_from_db()
    assert ledger.uncharged_ms(alice.pk, timezone.now()) == 60_000  # the same part counts once
    commands.retry(prepared)
    prepare_again(prepared)
    assert pipeline.transcribe(prepared.id)
    assert charged_ms(alice) == 10_000
    assert ledger.uncharged_ms(alice.pk, timezone.now()) == 51_900
