"""The history of a recording, and the admin page that shows it to operators."""

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
from transcriptions.processing.tests.helpers import expire
from transcriptions.testing import (
    ScriptedEngine,
    Upload,
    finish_account_deletions,
    prepare_again,
    run_concurrently,
)

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/transcriptions/transcription/"


def phases(row: Transcription) -> list[str]:
    return [step.phase for step in row.steps.all()]


def page(client: Client, row: Transcription) -> str:
    response = client.get(f"{LIST}{row.id}/change/")
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def viewer(db: None) -> Client:
    """A client of a staff user without further permissions."""
    return signed_in(User.objects.create_user("viewer@example.com", "x", is_staff=True))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_every_phase_is_recorded(
    alice: User, upload: Upload, media: Media, engine: ScriptedEngine
) -> None:
    row = upload(media.speech("speech.mp3", 6))
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    expected = ["queue", "preprocess", "ready", "engine", "decode", "completed"]
    assert phases(row) == expected
    times = [step.started_at for step in row.steps.all()]
    assert times == sorted(times)
    assert row.steps.get(phase="decode").detail == "whisper: scripted-1"


def test_failure_retry_and_cancellation_are_recorded(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before[2] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    prepared.refresh_from_db()
    commands.retry(prepared)
    prepare_again(prepared)
    engine.before[2] = lambda: commands.cancel(Transcription.objects.get())
    pipeline.transcribe(prepared.id)
    assert phases(prepared) == [
        *("engine", "decode", "failed"),
        *("queue", "preprocess", "ready", "engine", "decode", "cancelled"),
    ]
    assert prepared.steps.get(phase="failed").detail == "internal_error"


def test_second_attempt_is_recorded(prepared: Transcription, engine: ScriptedEngine) -> None:
    assert lifecycle.claim(prepared.id, State.TRANSCRIBING)
    expire(prepared)
    assert pipeline.transcribe(prepared.id)
    assert [s.detail for s in prepared.steps.filter(phase="engine")] == ["", "Attempt 2"]


def test_bars_fill_the_timeline(prepared: Transcription) -> None:
    start = datetime(2026, 5, 4, 12, tzinfo=UTC)
    for seconds, phase in ((0, Phase.QUEUE), (1, Phase.PREPROCESS), (4, Phase.COMPLETED)):
        models.record_step(prepared, phase, at=start + timedelta(seconds=seconds))
    bars = history.timeline(prepared)
    assert [(bar.seconds, bar.left, bar.width) for bar in bars] == [
        (1.0, 0.0, 25.0),
        (3.0, 25.0, 75.0),
        (None, 100.0, 0.0),
    ]


def test_failed_phase_has_no_duration(prepared: Transcription) -> None:
    start = datetime(2026, 5, 4, 12, tzinfo=UTC)
    phases = ((0, Phase.DECODE), (1, Phase.FAILED), (9, Phase.READY), (10, Phase.COMPLETED))
    for seconds, phase in phases:
        models.record_step(prepared, phase, at=start + timedelta(seconds=seconds))
    bars = history.timeline(prepared)
    assert [(bar.seconds, bar.left, bar.width) for bar in bars] == [
        (1.0, 0.0, 10.0),
        (None, 10.0, 0.0),
        (1.0, 90.0, 10.0),
        (None, 100.0, 0.0),
    ]


# --- The page -----------------------------------------------------------------------------------


def test_staff_see_timeline_and_cost_but_no_content(
    viewer: Client, carol: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    Transcription.objects.update(title="Her secret plans")
    engine.before[2] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    content = page(viewer, prepared)
    assert "Wait for the engine" in content
    assert "Failed (internal_error). Not charged." in content
    assert str(prepared.id) in viewer.get(LIST).content.decode()
    for client, visible in ((viewer, False), (signed_in(carol), True)):
        for content in (page(client, prepared), client.get(LIST).content.decode()):
            assert ("Her secret plans" in content) == visible
        assert ("Something went wrong" in page(client, prepared)) == visible
        results = client.get(f"{LIST}?q=secret").content.decode()
        assert (str(prepared.id) in results) == visible
        assert client.get(f"{LIST}{prepared.id}/history/").status_code == (200 if visible else 403)


def test_staff_cannot_filter_by_hidden_fields(
    viewer: Client, carol: User, prepared: Transcription
) -> None:
    Transcription.objects.update(title="Her secret plans")
    for query in (
        "title__startswith=Her",
        "title__regex=s.cret",
        "title=Her+secret+plans",
        "search=secret",
        "note__contains=x",
        "segments__text__contains=x",
    ):
        assert viewer.get(f"{LIST}?{query}").status_code == 400, query
    assert viewer.get(f"{LIST}?state__exact=prepared").status_code == 200
    assert signed_in(carol).get(f"{LIST}?title__startswith=Her").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "owner__password__startswith=md5",
        "owner__api_tokens__digest__startswith=0",
        "owner__transcriptions__title__startswith=Her",
        "owner__transcriptions__segments__text__contains=x",
        "token__digest__startswith=0",
    ],
)
def test_filtering_through_relations_is_400(
    viewer: Client, carol: User, prepared: Transcription, query: str
) -> None:
    for client in (viewer, signed_in(carol)):
        assert client.get(f"{LIST}?{query}").status_code == 400


def test_delete_confirmation_shows_no_transcript(
    alice: User, carol: User, prepared: Transcription
) -> None:
    Transcription.objects.update(title="Her secret plans")
    prepared.segments.create(number=1, start=0, end=1, text="Buy the harbor.")
    deleter = User.objects.create_user("deleter@example.com", "x", is_staff=True)
    rights = ("view_user", "delete_user", "delete_transcription")
    deleter.user_permissions.set(Permission.objects.filter(codename__in=rights))
    delete_row = f"{LIST}{prepared.id}/delete/"
    assert signed_in(deleter).get(delete_row).status_code == 403
    delete_owner = f"/admin/accounts/user/{alice.pk}/delete/"
    for client, url in (
        (signed_in(deleter), delete_owner),
        (signed_in(carol), delete_owner),
        (signed_in(carol), delete_row),
    ):
        response = client.get(url)
        assert response.status_code == 200
        assert "Buy the harbor" not in response.content.decode()
        assert ("Her secret plans" in response.content.decode()) == (url == delete_row)
    assert signed_in(carol).post(delete_owner, {"post": "yes"}).status_code == 302
    finish_account_deletions()
    assert not Transcription.objects.exists()


def test_page_of_recording_without_history_explains_it(
    viewer: Client, prepared: Transcription
) -> None:
    assert "before timelines were recorded" in page(viewer, prepared)


def operate(client: Client, action: str, *rows: Transcription) -> Any:
    chosen = [str(row.id) for row in rows]
    return client.post(LIST, {"action": action, "_selected_action": chosen}, follow=True)


def test_operator_cancels_and_requeues(
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
    response = operate(operator, "cancel", prepared)
    assert "There is nothing to cancel" in response.content.decode()
    enqueued = []
    monkeypatch.setattr(queue, "enqueue", lambda task, row_id: enqueued.append((task, row_id)))
    operate(operator, "requeue", prepared)
    assert enqueued == [(tasks.preprocess, prepared.id)]
    prepare_again(prepared)
    assert pipeline.transcribe(prepared.id)
    events = AuditEvent.objects.filter(user=alice, action="admin").order_by("id")
    assert [(event.detail, event.recording, event.actor) for event in events] == [
        ("Cancelled the recording.", prepared.id, carol),
        ("Resumed the recording.", prepared.id, carol),
    ]


def test_view_permission_cannot_cancel(viewer: Client, prepared: Transcription) -> None:
    operate(viewer, "cancel", prepared)
    prepared.refresh_from_db()
    assert prepared.state == State.PREPARED
    assert 'value="cancel"' not in page(viewer, prepared)


def test_buttons_depend_on_the_state(
    carol: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    operator = signed_in(carol)
    assert 'value="cancel"' in page(operator, prepared)
    assert 'value="requeue"' not in page(operator, prepared)
    commands.cancel(prepared)
    assert 'value="cancel"' not in page(operator, prepared)
    assert 'value="requeue"' in page(operator, prepared)


def test_concurrent_refunds_refund_once(
    carol: User, alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    assert pipeline.transcribe(prepared.id)
    row, operators = UsageRecord.objects.get(), [signed_in(carol) for _ in range(4)]
    form = {"action": "refund", "_selected_action": [row.pk]}
    run_concurrently(*[lambda o=o: o.post("/admin/accounts/usagerecord/", form) for o in operators])
    assert ledger.billed_ms(alice.pk, timezone.now()) == 0
    assert UsageRecord.objects.get(corrects=row).audio_ms == -10_000
    assert AuditEvent.objects.filter(user=alice, action="admin").count() == 1


def test_refund_from_the_recording_page(
    carol: User, viewer: Client, alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    operator = signed_in(carol)
    assert 'value="refund"' not in page(operator, prepared)  # nothing was charged
    assert pipeline.transcribe(prepared.id)
    assert 'value="refund"' not in page(viewer, prepared)
    operate(viewer, "refund", prepared)
    assert ledger.billed_ms(alice.pk, timezone.now()) == 10_000
    assert 'value="refund"' in page(operator, prepared)
    assert "1 charge was refunded" in operate(operator, "refund", prepared).content.decode()
    assert ledger.billed_ms(alice.pk, timezone.now()) == 0
    content = page(operator, prepared)
    assert "Refunded by an administrator." in content
    assert 'value="refund"' not in content
