"""What operators see of live sessions, and what they can do with them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEvent, User
from transcriptions.live import sessions
from transcriptions.live.sessions import LiveParams
from transcriptions.models import EndReason, LiveSession, State, Transcription
from transcriptions.notifications.receivers import send_transcript_ready
from transcriptions.operations import metrics


@pytest.fixture
def session(alice: User, db: None) -> LiveSession:
    return sessions.open_session(alice, None, LiveParams(title="Private talk"))


def gauge(name: str, **labels: str) -> float:
    samples = [sample for metric in metrics.current() for sample in metric.samples]
    (value,) = (s.value for s in samples if s.name == name and labels.items() <= s.labels.items())
    return float(value)


def test_administrator_sees_sessions_without_their_content(
    admin_client: Client, session: LiveSession
) -> None:
    LiveSession.objects.update(received_bytes=90 * 48_000)
    page = admin_client.get("/admin/transcriptions/livesession/").content.decode()
    assert str(session.pk) in page
    assert "1:30" in page
    assert "Active" in page
    assert "Private talk" not in page


def test_administrator_ends_a_session(
    admin_client: Client, alice: User, session: LiveSession
) -> None:
    form = {"action": "end", "_selected_action": str(session.pk)}
    response = admin_client.post("/admin/transcriptions/livesession/", form, follow=True)
    assert "1 session ended." in response.content.decode()
    session.refresh_from_db()
    assert session.end_reason == EndReason.ADMINISTRATOR
    assert AuditEvent.objects.filter(user_id=alice.pk, detail="Ended the live session.").exists()


def test_metrics_count_sessions_and_how_long_they_wait(session: LiveSession) -> None:
    assert gauge("transcodio_live_sessions", state="active") == 1
    assert gauge("transcodio_queue_depth", queue="live") == 1
    assert gauge("transcodio_queue_depth", queue="transcribe") == 0
    LiveSession.objects.update(parked_at=timezone.now())
    assert gauge("transcodio_live_sessions", state="paused") == 1


@pytest.mark.parametrize(("minutes", "is_sent"), [(1, False), (10, True)])
def test_email_only_if_the_owner_had_to_wait_after_the_end(
    session: LiveSession,
    minutes: int,
    is_sent: bool,
) -> None:
    now = timezone.now()
    LiveSession.objects.update(ended_at=now - timedelta(minutes=minutes))
    row = Transcription.objects.get()
    row.state, row.completed_at = State.COMPLETED, now
    row.created_at = now - timedelta(hours=1)
    send_transcript_ready(Transcription, row)
    assert bool(mail.outbox) is is_sent
