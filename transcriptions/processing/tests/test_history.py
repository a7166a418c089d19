"""Where the time went: the history of a recording, and the page on which operators see it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent, UsageRecord, User
from accounts.usage import ledger
from transcodio_site.testing import Media
from transcriptions import models, queue
from transcriptions.models import Phase, State, Transcription
from transcriptions.processing import commands, history, lifecycle, pipeline, tasks
from transcriptions.testing import ScriptedEngine, Upload, run_concurrently

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/transcriptions/transcription/"


def phases(row: Transcription) -> list[str]:
    return [step.phase for step in row.steps.all()]


def page(client: Client, row: Transcription) -> str:
    answer = client.get(f"{LIST}{row.id}/change/")
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def clerk(db: None) -> Client:
    """Staff, without any other right."""
    return signed_in(User.objects.create_user("clerk@example.com", "x", is_staff=True))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_every_phase_is_written_down(
    alice: User, upload: Upload, media: Media, engine: ScriptedEngine
) -> None:
    row = upload(media.speech("speech.mp3", 6))
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    expected = ["queue", "preprocess", "ready", "engine", "decode", "completed"]
    assert phases(row) == expected
    moments = [step.began_at for step in row.steps.all()]
    assert moments == sorted(moments)
    assert row.steps.get(phase="decode").detail == "whisper: scripted-1"


def test_detours_are_written_down(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before[2] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    prepared.refresh_from_db()
    commands.retry(prepared)
    engine.before[2] = lambda: commands.cancel(Transcription.objects.get())
    pipeline.transcribe(prepared.id)
    assert phases(prepared) == [
        *("engine", "decode", "failed"),
        *("ready", "engine", "decode", "cancelled"),
    ]
    assert prepared.steps.get(phase="failed").detail == "internal_error"


def test_a_worker_that_died_is_seen(prepared: Transcription, engine: ScriptedEngine) -> None:
    assert lifecycle.claim(prepared.id, State.TRANSCRIBING)
    Transcription.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert pipeline.transcribe(prepared.id)
    assert [s.detail for s in prepared.steps.filter(phase="engine")] == ["", "Attempt 2"]


def test_bars_fill_the_time_line(prepared: Transcription) -> None:
    began = datetime(2026, 5, 4, 12, tzinfo=UTC)
    for seconds, phase in ((0, Phase.QUEUE), (1, Phase.PREPROCESS), (4, Phase.COMPLETED)):
        models.record_step(prepared, phase, at=began + timedelta(seconds=seconds))
    bars = history.timeline(prepared)
    assert [(bar.seconds, bar.left, bar.width) for bar in bars] == [
        (1.0, 0.0, 25.0),
        (3.0, 25.0, 75.0),
        (None, 100.0, 0.0),
    ]


def test_a_failure_takes_no_time_however_long_it_was_let_lie(prepared: Transcription) -> None:
    began = datetime(2026, 5, 4, 12, tzinfo=UTC)
    phases = ((0, Phase.DECODE), (1, Phase.FAILED), (9, Phase.READY), (10, Phase.COMPLETED))
    for seconds, phase in phases:
        models.record_step(prepared, phase, at=began + timedelta(seconds=seconds))
    bars = history.timeline(prepared)
    assert [(bar.seconds, bar.left, bar.width) for bar in bars] == [
        (1.0, 0.0, 10.0),
        (None, 10.0, 0.0),
        (1.0, 90.0, 10.0),
        (None, 100.0, 0.0),
    ]


# --- The page -----------------------------------------------------------------------------------


def test_staff_see_where_the_time_went_and_what_it_cost(
    clerk: Client, carol: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    Transcription.objects.update(title="Her secret plans")
    engine.before[2] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    content = page(clerk, prepared)
    assert "Wait for the engine" in content
    assert "Failed (internal_error). Not charged." in content
    assert str(prepared.id) in clerk.get(LIST).content.decode()
    for client, sees in ((clerk, False), (signed_in(carol), True)):
        for content in (page(client, prepared), client.get(LIST).content.decode()):
            assert ("Her secret plans" in content) == sees
        assert ("Something went wrong" in page(client, prepared)) == sees
        found = client.get(f"{LIST}?q=secret").content.decode()
        assert (str(prepared.id) in found) == sees
        assert client.get(f"{LIST}{prepared.id}/history/").status_code == (200 if sees else 403)


def test_what_staff_cannot_see_they_cannot_ask_for(
    clerk: Client, carol: User, prepared: Transcription
) -> None:
    Transcription.objects.update(title="Her secret plans")
    for question in (
        "title__startswith=Her",
        "title__regex=s.cret",
        "title=Her+secret+plans",
        "search=secret",
        "note__contains=x",
        "segments__text__contains=x",
    ):
        assert clerk.get(f"{LIST}?{question}").status_code == 400, question
    assert clerk.get(f"{LIST}?state__exact=prepared").status_code == 200
    assert signed_in(carol).get(f"{LIST}?title__startswith=Her").status_code == 200


@pytest.mark.parametrize(
    "question",
    [
        "owner__password__startswith=md5",
        "owner__api_tokens__digest__startswith=0",
        "owner__transcriptions__title__startswith=Her",
        "owner__transcriptions__segments__text__contains=x",
        "token__digest__startswith=0",
    ],
)
def test_nobody_asks_for_what_lies_behind_an_owner(
    clerk: Client, carol: User, prepared: Transcription, question: str
) -> None:
    for client in (clerk, signed_in(carol)):
        assert client.get(f"{LIST}?{question}").status_code == 400


def test_what_is_deleted_is_not_read_out(alice: User, carol: User, prepared: Transcription) -> None:
    Transcription.objects.update(title="Her secret plans")
    prepared.segments.create(number=1, start=0, end=1, text="Buy the harbor.")
    butler = User.objects.create_user("butler@example.com", "x", is_staff=True)
    rights = ("view_user", "delete_user", "delete_transcription")
    butler.user_permissions.set(Permission.objects.filter(codename__in=rights))
    this = f"{LIST}{prepared.id}/delete/"
    assert signed_in(butler).get(this).status_code == 403
    all_of_hers = f"/admin/accounts/user/{alice.pk}/delete/"
    for client, url in (
        (signed_in(butler), all_of_hers),
        (signed_in(carol), all_of_hers),
        (signed_in(carol), this),
    ):
        answer = client.get(url)
        assert answer.status_code == 200
        assert "Buy the harbor" not in answer.content.decode()
        assert ("Her secret plans" in answer.content.decode()) == (url == this)
    assert signed_in(carol).post(all_of_hers, {"post": "yes"}).status_code == 302
    assert not Transcription.objects.exists()


def test_what_is_older_than_the_history_says_so(clerk: Client, prepared: Transcription) -> None:
    assert "older than the history" in page(clerk, prepared)


def operate(client: Client, action: str, *rows: Transcription) -> Any:
    chosen = [str(row.id) for row in rows]
    return client.post(LIST, {"action": action, "_selected_action": chosen}, follow=True)


def test_an_operator_queues_again_and_cancels(
    carol: User,
    alice: User,
    prepared: Transcription,
    engine: ScriptedEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operator = signed_in(carol)
    operate(operator, "cancel", prepared)
    prepared.refresh_from_db()
    assert prepared.state == State.CANCELLED
    answer = operate(operator, "cancel", prepared)
    assert "there is nothing to cancel" in answer.content.decode()
    rung = []
    monkeypatch.setattr(queue, "enqueue", lambda task, id: rung.append((task, id)))
    operate(operator, "requeue", prepared)
    assert rung == [(tasks.transcribe, prepared.id)]
    assert pipeline.transcribe(prepared.id)
    told = AuditEvent.objects.filter(user=alice, action="admin").order_by("id")
    assert [event.detail for event in told] == [
        "carol@example.com cancelled the recording “Ten seconds”.",
        "carol@example.com resumed the recording “Ten seconds”.",
    ]


def test_who_only_looks_changes_nothing(clerk: Client, prepared: Transcription) -> None:
    operate(clerk, "cancel", prepared)
    prepared.refresh_from_db()
    assert prepared.state == State.PREPARED
    assert 'value="cancel"' not in page(clerk, prepared)


def test_the_buttons_fit_the_state(
    carol: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    operator = signed_in(carol)
    assert 'value="cancel"' in page(operator, prepared)
    assert 'value="requeue"' not in page(operator, prepared)
    commands.cancel(prepared)
    assert 'value="cancel"' not in page(operator, prepared)
    assert 'value="requeue"' in page(operator, prepared)


def test_a_charge_is_given_back_once_however_many_ask_for_it(
    carol: User, alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    assert pipeline.transcribe(prepared.id)
    row, operators = UsageRecord.objects.get(), [signed_in(carol) for _ in range(4)]
    form = {"action": "refund", "_selected_action": [row.pk]}
    run_concurrently(*[lambda o=o: o.post("/admin/accounts/usagerecord/", form) for o in operators])
    assert ledger.billed_ms(alice.pk, timezone.now()) == 0
    assert UsageRecord.objects.get(corrects=row).audio_ms == -10_000
    assert AuditEvent.objects.filter(user=alice, action="admin").count() == 1


def test_a_charge_is_given_back_from_the_page_of_its_recording(
    carol: User, clerk: Client, alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    operator = signed_in(carol)
    assert 'value="refund"' not in page(operator, prepared)  # nothing was charged
    assert pipeline.transcribe(prepared.id)
    assert 'value="refund"' not in page(clerk, prepared)
    operate(clerk, "refund", prepared)
    assert ledger.billed_ms(alice.pk, timezone.now()) == 10_000
    assert 'value="refund"' in page(operator, prepared)
    assert "1 charge was refunded" in operate(operator, "refund", prepared).content.decode()
    assert ledger.billed_ms(alice.pk, timezone.now()) == 0
    content = page(operator, prepared)
    assert "Refunded by carol@example.com." in content
    assert 'value="refund"' not in content
