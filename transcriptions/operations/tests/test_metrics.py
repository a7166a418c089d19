"""Metrics from the database, and counters of processes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone
from prometheus_client import REGISTRY

from accounts import outbox
from accounts.models import Outcome, OutgoingEmail, UsageDay, UsageRecord, User
from accounts.usage import ledger
from accounts.usage.consistency import wrong_days
from transcriptions.models import Phase, Progress, State, Transcription, record_step
from transcriptions.operations import metrics as database
from transcriptions.processing import lifecycle, pipeline
from transcriptions.testing import ScriptedEngine, set_state
from transcriptions.webhooks.delivery import attempt
from transcriptions.webhooks.models import Endpoint


def from_database(name: str, label: str = "") -> Any:
    """The values of a metric by its only label, or its only value."""
    found = {
        next(iter(sample.labels.values()), ""): sample.value
        for metric in (*database.current(), *database.totals())
        for sample in metric.samples
        if sample.name == name
    }
    return found[label] if label else found


def recording(
    owner: User,
    state: State = State.QUEUED,
    lease_until: datetime | None = None,
    **fields: Any,
) -> Transcription:
    row = Transcription.objects.create(owner=owner, title="x", source="s", source_bytes=100)
    set_state(state, Transcription.objects.filter(id=row.id), **fields)
    Progress.objects.filter(transcription=row).update(lease_until=lease_until)
    return row


# --- From the database --------------------------------------------------------------------------


def test_jobs_by_state_and_stored_bytes(alice: User) -> None:
    for state in (State.QUEUED, State.QUEUED, State.COMPLETED):
        recording(alice, state)
    recording(alice, State.FAILED, source="")
    jobs = from_database("transcodio_jobs")
    assert jobs == {"queued": 2, "preprocessing": 0, "prepared": 0, "transcribing": 0}
    finished = from_database("transcodio_finished_jobs")
    assert finished == {"completed": 1, "failed": 1, "cancelled": 0}
    assert from_database("transcodio_stored_bytes") == {"": 300}


def test_age_of_queue_counts_from_when_the_recording_began_to_wait(alice: User) -> None:
    now = timezone.now()
    old = recording(alice, created_at=now - timedelta(days=90))
    record_step(old, Phase.QUEUE, "Resumed", at=now - timedelta(seconds=50))
    recording(alice, lease_until=now + timedelta(hours=1))  # delayed: it does not wait yet
    assert from_database("transcodio_queue_depth", "preprocess") == 1
    age = from_database("transcodio_queue_age_seconds", "preprocess")
    assert 50 <= age < 3600
    assert from_database("transcodio_queue_age_seconds", "transcribe") == 0
    prepared = recording(alice, State.PREPARED, created_at=now - timedelta(days=1))
    record_step(prepared, Phase.READY, at=now - timedelta(hours=2))
    assert 7200 <= from_database("transcodio_queue_age_seconds", "transcribe") < 7200 + 3600


@pytest.mark.covers("fault", "A worker died, and no other has taken over its recording")
def test_expired_lease_is_counted(alice: User) -> None:
    recording(alice, State.TRANSCRIBING, lease_until=timezone.now() + timedelta(seconds=5))
    assert from_database("transcodio_expired_leases") == {"": 0}
    recording(alice, State.TRANSCRIBING, lease_until=timezone.now() - timedelta(seconds=5))
    assert from_database("transcodio_expired_leases") == {"": 1}


def test_webhooks_that_are_due(alice: User) -> None:
    endpoint = Endpoint.objects.create(owner=alice, url="https://example.com/")
    delivery = endpoint.create_delivery("webhook.test", "msg_1", {})
    type(delivery).objects.update(next_attempt_at=timezone.now() - timedelta(minutes=5))
    assert from_database("transcodio_queue_depth", "webhooks") == 1
    assert 300 <= from_database("transcodio_queue_age_seconds", "webhooks") < 300 + 3600


def test_emails_that_wait(db: None) -> None:
    assert from_database("transcodio_queue_depth", "mail") == 0
    outbox.add(EmailMessage("Hello", "", "site@example.com", ["alice@example.com"]))
    OutgoingEmail.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    assert from_database("transcodio_queue_depth", "mail") == 1
    assert 300 <= from_database("transcodio_queue_age_seconds", "mail") < 300 + 3600


def charge(user: User) -> None:
    ledger.write_record(
        UsageRecord(
            user=user,
            transcription="00000000-0000-4000-8000-000000000000",
            outcome=Outcome.COMPLETED,
            engine="modal",
            audio_ms=60_000,
            decode_ms=2000,
            nano_usd_per_second=250_000_000,
            billed=True,
            reason="A test.",
        )
    )


def test_cost_and_audio_of_today(alice: User, bob: User) -> None:
    for user in (alice, bob):
        charge(user)
    assert from_database("transcodio_cost_today_usd") == {"modal": 1.0}
    assert from_database("transcodio_billed_audio_today_seconds") == {"modal": 120.0}


@pytest.mark.covers("fault", "A daily sum of the usage differs from the ledger")
def test_daily_sums_that_differ_from_the_ledger_are_counted(alice: User, bob: User) -> None:
    for user in (alice, bob):
        charge(user)
    today = timezone.now().date()
    assert from_database("transcodio_ledger_differences") == {"": 0}
    UsageDay.objects.filter(user=alice).update(billed_ms=1)
    UsageDay.objects.filter(user=bob).delete()
    assert wrong_days(today) == 2
    assert wrong_days(today + timedelta(days=1)) == 0


def test_metrics_of_the_database_take_few_queries(
    alice: User, bob: User, django_assert_max_num_queries: Any
) -> None:
    for owner in (alice, bob) * 3:
        recording(owner)
    with django_assert_max_num_queries(14):
        database.current()
        database.totals()


# --- Of processes -------------------------------------------------------------------------------


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_completed_recording_is_measured(
    transactional_db: None, prepared: Transcription, engine: ScriptedEngine
) -> None:
    names = {
        "transcodio_stage_seconds_count": {"stage": "transcribe"},
        "transcodio_real_time_factor_count": {"engine": "whisper"},
        "transcodio_attempts_total": {"outcome": "completed"},
    }
    before = {name: counted(name, **labels) for name, labels in names.items()}
    seconds = counted("transcodio_engine_seconds_total", engine="whisper", device="cpu")
    segments = counted("transcodio_segment_seconds_count")
    assert pipeline.transcribe(prepared.id)
    assert {name: counted(name, **labels) for name, labels in names.items()} == {
        name: value + 1 for name, value in before.items()
    }
    after = counted("transcodio_engine_seconds_total", engine="whisper", device="cpu")
    assert after - seconds == pytest.approx(0.5)
    assert counted("transcodio_segment_seconds_count") - segments == 7  # metadata, 5, complete


def test_errors_are_counted_by_code(
    transactional_db: None, prepared: Transcription, engine: ScriptedEngine
) -> None:
    failed = counted("transcodio_errors_total", code="internal_error", outcome="failed")
    retried = counted("transcodio_errors_total", code="internal_error", outcome="retried")

    def fail(error: Exception) -> Any:
        def raise_it() -> None:
            raise error

        return raise_it

    engine.before = {1: fail(OSError("storage"))}
    pipeline.transcribe(prepared.id)
    Progress.objects.update(lease_until=None)
    engine.before = {1: fail(KeyError("bug"))}
    pipeline.transcribe(prepared.id)
    assert counted("transcodio_errors_total", code="internal_error", outcome="retried") > retried
    assert counted("transcodio_errors_total", code="internal_error", outcome="failed") > failed


def test_webhook_attempts_are_counted(alice: User) -> None:
    endpoint = Endpoint.objects.create(owner=alice, url="https://nowhere.invalid/")
    before = counted("transcodio_webhook_attempts_total", result="unreachable")
    attempt(endpoint.create_delivery("webhook.test", "msg_1", {}).id)
    assert counted("transcodio_webhook_attempts_total", result="unreachable") == before + 1


def test_finished_job_is_not_in_a_queue(alice: User) -> None:
    row = recording(alice)
    lifecycle.mark_cancelled(row)
    assert from_database("transcodio_queue_depth", "preprocess") == 0
