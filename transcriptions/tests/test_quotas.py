"""What a plan allows, asked before anything is spent, by as many at once as there are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test import Client
from django.utils import timezone

from accounts import ledger
from accounts.ledger import Outcome, UsageRecord
from accounts.models import ApiToken, Plan, User
from gpu.types import Audio, Complete, EngineError, EngineEvent, Spent
from transcodio_site.testing import WAIT_S, Media
from transcriptions import actions, claims, pipeline, speech
from transcriptions.models import State, Transcription
from transcriptions.quotas import NotEnoughLeft
from transcriptions.tests.conftest import (
    Headers,
    ScriptedEngine,
    Upload,
    send,
    spoken,
    stored_files,
)

pytestmark = pytest.mark.django_db(transaction=True)

MP3 = b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(100)
URL = "/api/transcriptions"


def give(user: User, **terms: Any) -> None:
    user.plan = Plan.objects.create(name="Small", **terms)
    user.save()


def use(user: User, minutes: float, token: ApiToken | None = None) -> None:
    UsageRecord(
        user=user,
        token=token,
        transcription="00000000-0000-4000-8000-000000000000",
        outcome=Outcome.COMPLETED,
        audio_ms=round(minutes * 60_000),
        billed=True,
        reason="A test.",
    ).write()


def together(*work: Callable[[], Any]) -> list[Any]:
    """Runs all at the same moment; returns what they returned."""
    barrier, results = threading.Barrier(len(work)), list[Any]()

    def run(one: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results.append(one())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# --- When it is sent ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", [URL, "/api/transcribe", "/v1/audio/transcriptions"])
def test_without_minutes_nothing_is_taken(
    alice: User, api: Client, settings: Any, path: str
) -> None:
    give(alice, monthly_minutes=10)
    use(alice, 10)
    answer = send(api, path, MP3, "a.mp3", model="whisper-1")
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    body = answer.json() if path.startswith("/api") else answer.json()["error"]
    assert body["code"] == "quota_exceeded"
    sentence = body.get("detail") or body["message"]
    assert sentence.startswith("The 10 minutes that your plan has this month are used up.")
    first = ledger.month_of(timezone.now())[1]
    assert f"They renew on 1 {first:%B}." in sentence
    assert not Transcription.objects.exists()
    assert stored_files(settings) == []


def test_a_token_may_have_less_than_its_user(alice: User, folders: None) -> None:
    token, secret = ApiToken.issue(alice, monthly_minutes=5)
    use(alice, 5, token)
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    answer = send(client, URL, MP3, "a.mp3")
    assert answer.status_code == 429
    assert "The 5 minutes that this token has" in answer.json()["detail"]
    other = Client(headers={"Authorization": f"Bearer {ApiToken.issue(alice)[1]}"})
    assert send(other, URL, MP3, "a.mp3").status_code == 202


def test_a_plan_has_its_own_largest_file(alice: User, api: Client, settings: Any) -> None:
    give(alice, max_file_mb=1)
    answer = send(api, URL, MP3 * 12_000, "a.mp3")
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    assert "larger than 1 MB" in answer.json()["detail"]
    assert stored_files(settings) == []


def test_two_at_once_take_the_last_place_once(
    alice: User, token_of: Headers, folders: None, settings: Any
) -> None:
    give(alice, max_jobs=3)
    headers = token_of(alice)
    for _ in range(2):
        assert send(Client(headers=headers), URL, MP3, "a.mp3").status_code == 202
    answers = together(
        *[lambda: send(Client(headers=headers), URL, MP3, "a.mp3") for _ in range(4)]
    )
    assert sorted(answer.status_code for answer in answers) == [202, 429, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "too_many_jobs"
    assert "(Small) works on 3 at once" in refused.json()["detail"]
    assert Transcription.objects.count() == len(stored_files(settings)) == 3


def test_a_place_is_free_again_when_one_is_done(
    alice: User, api: Client, prepared: Transcription
) -> None:
    give(alice, max_jobs=1)
    assert send(api, URL, MP3, "a.mp3").status_code == 429
    actions.cancel(prepared)
    assert send(api, URL, MP3, "a.mp3").status_code == 202


@pytest.mark.parametrize(
    ("terms", "said", "megabytes"),
    [
        ({}, "up to 500 MB and 4 hours.", 500),
        ({"max_file_mb": 20, "max_minutes": 30}, "up to 20 MB and 30 minutes.", 20),
        ({"max_file_mb": 900, "max_minutes": 60}, "up to 500 MB and 1 hour.", 500),
        ({"max_minutes": 100}, "up to 500 MB and 100 minutes.", 500),
    ],
)
def test_the_page_says_what_the_plan_takes(
    alice: User, client: Client, settings: Any, terms: dict[str, int], said: str, megabytes: int
) -> None:
    settings.MAX_FILE_SIZE_MB, settings.MAX_DURATION_SECONDS = 500, 4 * 3600
    give(alice, **terms)
    client.force_login(alice)
    page = client.get("/").content.decode()
    assert said in page
    assert f'data-max-megabytes="{megabytes}"' in page


# --- When its length is known -------------------------------------------------------------------


def test_what_is_longer_than_what_is_left_never_reaches_the_engine(
    alice: User, upload: Upload, media: Media, engine: ScriptedEngine, settings: Any
) -> None:
    give(alice, monthly_minutes=10)
    use(alice, 9.95)
    row = upload(media.speech("speech.mp3", 6))
    assert not pipeline.preprocess(row.id)
    row.refresh_from_db()
    assert (row.state, row.error_code) == (State.FAILED, "quota_exceeded")
    assert "0:06 long, and 0:03 of the 10 minutes that your plan has" in row.error_message
    assert engine.asked == []
    assert [path.suffix for path in stored_files(settings)] == [".source"]


def test_what_is_longer_than_the_plan_takes_is_refused(
    alice: User, upload: Upload, media: Media
) -> None:
    give(alice, max_minutes=1)
    row = upload(media.silence("long.wav", 61))
    assert not pipeline.preprocess(row.id)
    row.refresh_from_db()
    assert (row.state, row.error_code) == (State.FAILED, "too_long")
    assert "1:01 long, and your plan (Small) takes 1 minute." in row.error_message


def test_an_account_that_ends_meanwhile_is_no_failure(
    alice: User,
    upload: Upload,
    media: Media,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    row = upload(media.silence("ten.wav", 10))
    monkeypatch.setattr(speech, "find_peaks", lambda *_: alice.delete() and [])
    assert not pipeline.preprocess(row.id)
    assert not Transcription.objects.exists()
    assert f"{row.id}: deleted" in caplog.text
    assert "unexpected failure" not in caplog.text


def test_two_recordings_do_not_share_the_last_minutes(
    alice: User, upload: Upload, media: Media
) -> None:
    give(alice, monthly_minutes=10)
    use(alice, 9.85)  # 9 seconds are left: enough for one of them
    rows = [upload(media.speech("speech.mp3", 6)) for _ in range(2)]
    done = together(*[lambda id=row.id: pipeline.preprocess(id) for row in rows])
    assert sorted(done) == [False, True]
    states = Transcription.objects.order_by("state").values_list("state", flat=True)
    assert list(states) == [State.FAILED, State.PREPARED]


def test_a_retry_asks_again(alice: User, api: Client, prepared: Transcription) -> None:
    Transcription.objects.update(state=State.FAILED)
    give(alice, monthly_minutes=10)
    use(alice, 9.9)
    answer = api.post(f"{URL}/{prepared.id}/retry")
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
    assert int(answer["Retry-After"]) > 0
    prepared.refresh_from_db()
    assert prepared.state == State.FAILED
    use(alice, 0.1)
    assert api.post(f"{URL}/{prepared.id}/retry").status_code == 429


def stopped(row: Transcription, engine: ScriptedEngine) -> None:
    """Cancelled after two sentences, which are charged: 1.9 of its ten seconds."""
    engine.before[3] = lambda: actions.cancel(Transcription.objects.get(id=row.id))
    pipeline.transcribe(row.id)
    engine.before.clear()
    row.refresh_from_db()
    assert (row.state, charged(row.owner)) == (State.CANCELLED, 1900)


@pytest.mark.parametrize(("left", "fits"), [(8.1, True), (8.099, False)])
def test_what_was_charged_of_a_recording_needs_no_room_again(
    alice: User, prepared: Transcription, engine: ScriptedEngine, left: float, fits: bool
) -> None:
    stopped(prepared, engine)
    give(alice, monthly_minutes=1)
    use(alice, (60 - 1.9 - left) / 60)
    if not fits:
        with pytest.raises(NotEnoughLeft, match="still takes 0:08 of its 0:10, and 0:08 of"):
            actions.retry(prepared)
        return
    actions.retry(prepared)
    assert pipeline.transcribe(prepared.id)
    assert charged(alice) == 60_000


def test_nor_does_it_take_room_from_others_while_it_is_under_way(
    alice: User, upload: Upload, media: Media, prepared: Transcription, engine: ScriptedEngine
) -> None:
    stopped(prepared, engine)
    give(alice, monthly_minutes=1)
    use(alice, 43 / 60)  # with the 1.9, and 8.1 that are to come, seven are left
    actions.retry(prepared)
    assert pipeline.preprocess(upload(media.speech("speech.mp3", 6)).id)


def test_what_was_paid_for_as_a_whole_can_be_finished_without_any_minutes(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    stopped(prepared, engine)
    Transcription.objects.update(duration=1.9)
    give(alice, monthly_minutes=1)
    use(alice, 58.1 / 60)
    prepared.refresh_from_db()
    actions.retry(prepared)
    prepared.refresh_from_db()
    assert prepared.state == State.PREPARED


# --- What is charged ----------------------------------------------------------------------------


def charged(user: User) -> int:
    return ledger.billed_ms(user.pk, timezone.now())


def test_a_transcript_is_charged_by_its_length_with_all_that_it_took(
    alice: User, prepared: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Transcription.objects.claim(prepared.id, State.TRANSCRIBING)
    assert row is not None
    row.add_segment(spoken(1))
    row.completed(Complete(10.0, 0.5, queue_seconds=0.25, load_seconds=4.0, gpu="L4"))
    entry = UsageRecord.objects.get()
    assert (entry.user_id, entry.transcription) == (alice.pk, prepared.id)
    assert (entry.outcome, entry.billed, entry.audio_ms) == (Outcome.COMPLETED, True, 10_000)
    assert (entry.decode_ms, entry.queue_ms, entry.load_ms) == (500, 250, 4000)
    assert entry.gpu_type == "L4"
    assert entry.cost_micro_usd == round(500 * entry.nano_usd_per_second / 1_000_000) > 100
    assert charged(alice) == 10_000


def is_waited_for(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_locks WHERE relation = %s::regclass AND NOT granted", [table]
        )
        return bool(cursor.rowcount)


def test_days_are_added_up_anew_while_work_goes_on(alice: User) -> None:
    """Whoever is writing is waited for, and nothing is counted twice or left out."""
    use(alice, 1)
    ledger.UsageDay.objects.update(billed_ms=7)
    said, writing, mended = StringIO(), threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            use(alice, 2)
            writing.set()
            while not is_waited_for("accounts_usagerecord"):
                assert not mended.is_set()

    def mend() -> None:
        assert writing.wait(WAIT_S)
        call_command("rebuild_usage", stdout=said)
        mended.set()

    together(write, mend)
    assert charged(alice) == 180_000
    assert "1 rows did not agree" in said.getvalue()
    call_command("rebuild_usage", stdout=said)
    assert "Every day agrees" in said.getvalue()


def test_the_ledger_knows_the_token(
    alice: User, api: Client, media: Media, engine: ScriptedEngine
) -> None:
    send(api, URL, media.speech("speech.mp3", 6).read_bytes(), "a.mp3")
    row = Transcription.objects.get()
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    assert UsageRecord.objects.get().token == ApiToken.objects.get()


def test_what_fails_is_not_charged_and_gives_its_minutes_back(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before[3] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    entry = UsageRecord.objects.get()
    assert (entry.outcome, entry.billed) == (Outcome.FAILED, False)
    assert "internal_error" in entry.reason
    assert charged(alice) == 0


def test_a_retry_that_succeeds_is_charged_once(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before[3] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    engine.before[3] = lambda: actions.cancel(prepared)
    prepared.refresh_from_db()
    actions.retry(prepared)
    pipeline.transcribe(prepared.id)
    assert charged(alice) == 1900  # to the end of the second sentence
    engine.before.clear()
    actions.retry(prepared)
    assert pipeline.transcribe(prepared.id)
    assert charged(alice) == 10_000
    outcomes = UsageRecord.objects.order_by("id").values_list("outcome", flat=True)
    assert list(outcomes) == ["failed", "cancelled", "interrupted", "completed"]


def test_what_is_cancelled_before_it_began_costs_nothing(
    alice: User, prepared: Transcription
) -> None:
    actions.cancel(prepared)
    entry = UsageRecord.objects.get()
    assert (entry.outcome, entry.billed, entry.audio_ms) == (Outcome.CANCELLED, False, 0)


def test_what_was_read_is_charged_although_it_was_deleted(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before[3] = lambda: Transcription.objects.get().delete()
    assert not pipeline.transcribe(prepared.id)
    assert not Transcription.objects.exists()
    assert charged(alice) == 1900
    assert UsageRecord.objects.get(billed=True).transcription == prepared.id


def test_a_finished_recording_that_is_deleted_stays_in_the_ledger(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    assert pipeline.transcribe(prepared.id)
    prepared.delete()
    assert charged(alice) == 10_000
    assert UsageRecord.objects.count() == 1


# --- What an attempt has used that nobody is charged for ----------------------------------------


def used(row: UsageRecord) -> tuple[str, int, int, bool]:
    return row.outcome, row.decode_ms, row.cost_micro_usd, row.billed


def test_what_a_failure_used_is_known(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.gpu = "L4"
    engine.before[3] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    entry = UsageRecord.objects.get()
    assert used(entry) == ("failed", 200, entry.cost_micro_usd, False)  # two sentences
    assert entry.gpu_type == "L4"
    assert entry.cost_micro_usd == round(200 * entry.nano_usd_per_second / 1_000_000) > 40
    assert ledger.UsageDay.objects.get().decode_ms == 200


def test_it_was_used_by_the_engine_that_was_asked(
    prepared: Transcription,
    engine: ScriptedEngine,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine.before[2] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)

    def lost(audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        yield Spent(0.0, "L4", load_seconds=5.0)  # before it has said anything
        raise EngineError("out of memory")

    monkeypatch.setattr(engine, "stream", lost)
    settings.STT_ENGINE = "modal"
    actions.retry(Transcription.objects.get())
    pipeline.transcribe(prepared.id)
    second, first = UsageRecord.objects.all()
    assert (first.engine, first.model) == ("whisper", "scripted-1")
    assert (second.engine, second.model, second.gpu_type) == ("modal", "", "L4")


def test_a_gpu_without_a_price_is_not_free_in_silence(
    prepared: Transcription, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.gpu = "B300"
    engine.before[3] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    entry = UsageRecord.objects.get()
    assert used(entry) == ("failed", 200, 0, False)
    assert entry.reason.endswith("Without the GPU's price, which is not known (B300).")
    assert "no price is known for the GPU B300" in caplog.text


@pytest.mark.parametrize("how", ["cancelled", "deleted"])
def test_what_was_used_before_it_was_cancelled_is_known(
    alice: User, prepared: Transcription, engine: ScriptedEngine, how: str
) -> None:
    act: Callable[[Transcription], Any]
    act = {"cancelled": actions.cancel, "deleted": lambda row: row.delete()}[how]
    engine.before[3] = lambda: act(Transcription.objects.get())
    pipeline.transcribe(prepared.id)
    owner_s, worker_s = UsageRecord.objects.order_by("id")
    assert used(owner_s) == ("cancelled", 200, 0, True)
    assert used(worker_s) == ("interrupted", 100, 0, False)  # the third was decoded in vain
    assert [(r.queue_ms, r.load_ms) for r in (owner_s, worker_s)] == [(400, 3000), (0, 0)]
    day = ledger.UsageDay.objects.get()
    assert (day.attempts, day.decode_ms) == (1, 300)


def test_what_was_used_before_a_worker_stopped_is_known(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before[3] = claims.shutting_down.set
    try:
        pipeline.transcribe(prepared.id)
    finally:
        claims.shutting_down.clear()
    engine.before.clear()
    assert pipeline.transcribe(prepared.id)
    first, second = UsageRecord.objects.order_by("id")
    assert used(first) == ("interrupted", 300, 0, False)
    assert used(second) == ("completed", 500, 0, True)
    assert charged(alice) == 10_000
    assert ledger.UsageDay.objects.get().attempts == 1


def expire() -> None:
    """What time does to the lease of a worker that is gone."""
    Transcription.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def test_what_a_worker_used_that_was_killed_is_known(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    def die() -> None:
        raise KeyboardInterrupt  # which nothing in the pipeline catches, to write something down

    engine.before[3] = die
    engine.gpu = "L4"
    with pytest.raises(KeyboardInterrupt):
        pipeline.transcribe(prepared.id)
    assert not UsageRecord.objects.exists()
    engine.before.clear()
    expire()
    assert pipeline.transcribe(prepared.id)
    first, second = UsageRecord.objects.order_by("id")
    assert used(first)[:2] == ("interrupted", 200)  # two sentences, which are kept
    assert (first.queue_ms, first.load_ms) == (400, 3000)  # although nobody could say so any more
    assert first.cost_micro_usd > 40
    assert used(second)[:2] == ("completed", 500)
    assert charged(alice) == 10_000


def test_nothing_is_counted_twice_when_a_stuck_worker_comes_back(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    def stuck() -> None:
        engine.before.clear()
        expire()
        assert pipeline.transcribe(prepared.id)  # by another one

    engine.before[3] = stuck
    assert not pipeline.transcribe(prepared.id)
    taken_over, done, came_back = UsageRecord.objects.order_by("id")
    assert used(taken_over)[:2] == ("interrupted", 200)
    assert used(done)[:2] == ("completed", 500)
    assert used(came_back)[:2] == ("interrupted", 100)
    assert charged(alice) == 10_000
    assert ledger.UsageDay.objects.get().attempts == 1
