"""Live sessions from their first piece of audio to the recording."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from accounts.models import Outcome, UsageRecord, User
from accounts.tokens import issue_token
from gpu.types import Commit, EngineError
from transcriptions.live import sessions
from transcriptions.live.sessions import LiveParams, SessionEnded, TakenOver, TooManySessions
from transcriptions.models import (
    AudioAnalysis,
    EndReason,
    LivePiece,
    LiveSession,
    Priority,
    Progress,
    Segment,
    State,
    Transcription,
)
from transcriptions.processing import commands, lifecycle, live, live_input, scheduling
from transcriptions.testing import ScriptedEngine, assign_plan, charged_ms, texts
from transcriptions.usage.quotas import QuotaExceeded

SECOND = 48_000  # bytes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("live_engine")]


@pytest.fixture
def session(alice: User, live_engine: ScriptedEngine) -> LiveSession:
    """One of Alice's sessions."""
    return sessions.open_session(alice, None, LiveParams(title="Standup"))


def tone(seconds: float) -> bytes:
    times = np.arange(round(seconds * 24_000)) / 24_000
    return (8000 * np.sin(2 * np.pi * 220 * times)).astype("<i2").tobytes()


def recording() -> Transcription:
    return Transcription.objects.get()


def test_audio_becomes_a_recording(session: LiveSession, alice: User, settings: Any) -> None:
    audio = tone(3.5)
    assert sessions.append(session, 0, audio[:70_001]) == 70_001  # in the middle of a sample
    assert sessions.append(session, 70_001, audio[70_001:]) == len(audio)
    sessions.end(session)
    assert live.listen(session.pk)
    row = recording()
    assert row.state == State.COMPLETED
    assert texts(row) == ["Sentence 1.", "Sentence 2.", "Sentence 3."]
    assert row.title == "Standup"
    assert (row.format, row.priority) == ("flac", Priority.INTERACTIVE)
    assert row.duration == pytest.approx(3.5, abs=0.01)
    assert row.source_bytes == Path(row.source.path).stat().st_size > 0
    assert AudioAnalysis.has_waveform(row)
    assert not LivePiece.objects.exists()
    assert charged_ms(alice) == 3500
    assert UsageRecord.objects.get(outcome=Outcome.COMPLETED).decode_ms == 500
    assert list(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir()) == []


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
def test_telephone_audio_becomes_a_recording(alice: User, encoding: str) -> None:
    params = LiveParams.model_validate({"encoding": encoding, "sample_rate": 8000})
    session = sessions.open_session(alice, None, params)
    sessions.append(session, 0, bytes(8000 * 2))
    sessions.end(session)
    live.listen(session.pk)
    assert recording().duration == pytest.approx(2.0, abs=0.01)


@pytest.mark.covers("fault", "A live session pauses for longer than a worker waits")
def test_paused_session_goes_on_with_the_next_audio(session: LiveSession) -> None:
    sessions.append(session, 0, tone(2))
    assert live.listen(session.pk)
    row = recording()
    assert row.state == State.PREPARED
    session.refresh_from_db()
    assert session.parked_at
    assert not live_due()
    sessions.append(session, 2 * SECOND, tone(1.5))
    session.refresh_from_db()
    assert session.parked_at is None
    assert live_due()
    sessions.end(session)
    assert live.listen(session.pk)
    row = recording()
    assert texts(row) == ["Sentence 1.", "Sentence 2.", "Sentence 3."]
    assert row.duration == pytest.approx(3.5, abs=0.01)
    assert row.decode_seconds == pytest.approx(1.0)
    used = UsageRecord.objects.get(outcome=Outcome.INTERRUPTED)
    assert (used.decode_ms, used.billed) == (500, False)  # all that the engine has measured


def test_paused_session_goes_on_after_the_silence_that_was_recognized(
    session: LiveSession,
) -> None:
    sessions.append(session, 0, tone(2) + bytes(SECOND))
    sessions.commit(session)
    assert live.listen(session.pk)
    sessions.commit(session)
    sessions.append(session, 3 * SECOND, tone(0.5))
    session.refresh_from_db()
    heard = live_input.LiveInput(session.transcription, 2.0)
    assert heard.start == 3.0
    assert chunks_of(heard) == [2, 12_000, 0]


def test_word_that_ends_after_the_audio_does_not_keep_a_session_from_pausing(
    session: LiveSession,
) -> None:
    sessions.append(session, 0, tone(2)[:-3])  # ends in the middle of a sample
    session.refresh_from_db()
    heard = live_input.LiveInput(session.transcription, 2.0)
    assert heard.start < 2.0
    assert chunks_of(heard) == [0, 0]
    assert heard.received_bytes == 2 * SECOND - 3
    assert live.listen(session.pk)
    session.refresh_from_db()
    assert session.parked_at
    assert session.recognized_bytes == 2 * SECOND - 3
    assert live_input.LiveInput(session.transcription, 0.0).received_bytes == 2 * SECOND - 4


def test_usage_is_kept_if_audio_comes_while_a_worker_leaves_the_session(
    session: LiveSession, live_engine: ScriptedEngine
) -> None:
    def speak() -> None:
        sessions.append(session, SECOND, tone(1))

    sessions.append(session, 0, tone(1))
    live_engine.before_end = speak
    assert live.listen(session.pk)
    session.refresh_from_db()
    assert (session.parked_at, session.recognized_bytes) == (None, SECOND)
    assert live_due()
    assert UsageRecord.objects.get(outcome=Outcome.INTERRUPTED).decode_ms == 500


def chunks_of(heard: live_input.LiveInput) -> list[int]:
    """The number of each commit, and the length of other chunks."""
    chunks = heard.audio().chunks
    return [chunk.number if isinstance(chunk, Commit) else len(chunk) for chunk in chunks]


def test_heard_commits_are_stored(session: LiveSession) -> None:
    sessions.append(session, 0, tone(1))
    sessions.commit(session)
    sessions.commit(session)
    assert live.listen(session.pk)
    session.refresh_from_db()
    assert session.heard_commit == 2


def live_due() -> bool:
    rows = Transcription.objects.due(State.PREPARED)
    return rows.filter(priority=Priority.LIVE).exists()


@pytest.mark.covers("fault", "The worker of a live session dies")
def test_next_worker_continues_after_the_last_segment(
    session: LiveSession, live_engine: ScriptedEngine
) -> None:
    def lose_lease() -> None:
        Progress.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        lifecycle.recover(Transcription.objects.with_expired_lease())

    sessions.append(session, 0, tone(4))
    live_engine.before[3] = lose_lease
    assert not live.listen(session.pk)
    del live_engine.before[3]
    sessions.end(session)
    assert live.listen(session.pk)
    row = recording()
    assert texts(row) == [f"Sentence {number}." for number in (1, 2, 3, 4)]
    assert row.duration == pytest.approx(4.0, abs=0.01)


def test_language_is_the_one_that_was_spoken_longest(
    session: LiveSession, live_engine: ScriptedEngine
) -> None:
    sessions.append(session, 0, tone(3))
    sessions.end(session)
    live_engine.before[3] = lambda: Segment.objects.update(language="de")
    live.listen(session.pk)
    assert (recording().language, recording().languages) == ("de", ["de", "en"])


def test_session_without_audio_leaves_nothing(session: LiveSession) -> None:
    sessions.end(session)
    live.listen(session.pk)
    assert not Transcription.objects.exists()
    assert not UsageRecord.objects.filter(billed=True).exists()


@pytest.mark.covers("fault", "A live session is abandoned without being ended")
def test_idle_session_is_completed(session: LiveSession, settings: Any) -> None:
    sessions.append(session, 0, tone(2))
    settings.LIVE_IDLE_SECONDS = 0
    assert live.listen(session.pk)
    row = recording()
    assert row.state == State.COMPLETED
    assert row.live.end_reason == EndReason.IDLE
    with pytest.raises(SessionEnded):
        sessions.append(session, 2 * SECOND, tone(1))


@pytest.mark.covers("fault", "Speech recognition fails in a live session")
def test_failure_keeps_the_audio_for_another_attempt(
    session: LiveSession, live_engine: ScriptedEngine
) -> None:
    def fail() -> None:
        raise EngineError("a test")

    sessions.append(session, 0, tone(3))
    live_engine.before[2] = fail
    live.listen(session.pk)
    row = recording()
    assert row.state == State.FAILED
    assert row.live.end_reason == EndReason.FAILED
    assert row.can_be_retried
    assert texts(row) == ["Sentence 1."]
    commands.retry(row)
    row.refresh_from_db()
    assert (row.state, row.priority) == (State.QUEUED, Priority.INTERACTIVE)


def test_cancelling_ends_a_session_and_keeps_what_was_said(session: LiveSession) -> None:
    sessions.append(session, 0, tone(2))
    commands.cancel(recording())
    live.listen(session.pk)
    assert recording().state == State.COMPLETED
    assert texts(recording()) == ["Sentence 1.", "Sentence 2."]


def test_session_ends_when_the_minutes_are_used_up(session: LiveSession, alice: User) -> None:
    assign_plan(alice, monthly_minutes=1)
    for second in range(0, 70, 10):
        sessions.append(session, second * SECOND, tone(10))
    live.listen(session.pk)
    row = recording()
    assert row.state == State.COMPLETED
    assert row.live.end_reason == EndReason.LIMIT
    assert "monthly limit" in row.note


def test_token_that_is_revoked_meanwhile_does_not_fail_its_session(
    alice: User, live_engine: ScriptedEngine
) -> None:
    token, _secret = issue_token(alice)
    session = sessions.open_session(alice, token, LiveParams())
    sessions.append(session, 0, tone(20))
    sessions.end(session)
    live_engine.before[1] = token.delete
    live.listen(session.pk)
    row = recording()
    assert (row.state, row.token, row.segment_count) == (State.COMPLETED, None, 20)


def test_session_ends_when_it_is_as_long_as_the_plan_allows(
    session: LiveSession, alice: User
) -> None:
    assign_plan(alice, max_minutes=1)
    for second in range(0, 70, 10):
        sessions.append(session, second * SECOND, tone(10))
    live.listen(session.pk)
    assert recording().state == State.COMPLETED
    assert "longest duration that your plan" in recording().note


def test_session_ends_at_the_longest_duration(session: LiveSession, settings: Any) -> None:
    settings.MAX_DURATION_SECONDS = 3
    assert sessions.append(session, 0, tone(5)) == 3 * SECOND
    live.listen(session.pk)
    assert recording().duration == pytest.approx(3.0, abs=0.01)
    assert "longest duration" in recording().note


def test_two_connections_cannot_both_send(session: LiveSession) -> None:
    sessions.append(session, 0, tone(1))
    with pytest.raises(TakenOver):
        sessions.append(session, 0, tone(1))
    assert LivePiece.objects.count() == 1


def test_limits_of_sessions(session: LiveSession, alice: User, bob: User, settings: Any) -> None:
    settings.MAX_LIVE_SESSIONS_PER_USER = 1
    with pytest.raises(TooManySessions, match="You have 1"):
        sessions.open_session(alice, None, LiveParams())
    settings.MAX_LIVE_SESSIONS = 1
    with pytest.raises(TooManySessions, match="at the moment") as refused:
        sessions.open_session(bob, None, LiveParams())
    assert refused.value.status == 503
    assign_plan(bob, monthly_minutes=0)
    with pytest.raises(QuotaExceeded):
        sessions.open_session(bob, None, LiveParams())
    assert Transcription.objects.count() == 1


def test_other_workers_leave_live_sessions_alone(session: LiveSession) -> None:
    assert scheduling.claim_next(State.TRANSCRIBING) is None
    assert recording().queue_position is None
    sessions.append(session, 0, tone(1))
    sessions.end(session)
    live.listen(session.pk)
    assert not live.listen(session.pk)  # it is an ordinary recording now


def test_deleted_session_stops_its_worker(
    session: LiveSession, live_engine: ScriptedEngine
) -> None:
    sessions.append(session, 0, tone(3))
    live_engine.before[2] = lambda: recording().delete()
    assert not live.listen(session.pk)
    assert not LivePiece.objects.exists()
    with pytest.raises(SessionEnded):
        sessions.append(session, 3 * SECOND, tone(1))


def test_commits_come_between_the_audio_where_they_were_made(session: LiveSession) -> None:
    sessions.append(session, 0, tone(1))
    assert sessions.commit(session) == 1
    sessions.append(session, SECOND, tone(0.5))
    assert sessions.commit(session) == 2
    session.refresh_from_db()
    heard = live_input.LiveInput(session.transcription, 0.0)
    assert chunks_of(heard) == [24_000, 1, 12_000, 2, 0]
