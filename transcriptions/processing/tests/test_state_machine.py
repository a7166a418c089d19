"""Workers, owners and faults act on a recording in any order, and nothing is lost or doubled.

HYPOTHESIS_PROFILE=thorough tries twenty times as many sequences.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts.models import UsageRecord, User
from gpu.types import Complete, Metadata, Span, UsageDelta
from transcriptions.exceptions import LeaseLost, WrongState
from transcriptions.models import FINISHED, WORKING, State, Transcription
from transcriptions.processing import commands, lifecycle, scheduling
from transcriptions.processing.lifecycle import TRANSITIONS
from transcriptions.processing.tests.helpers import expire, renew
from transcriptions.testing import add_segment, texts
from transcriptions.waveform import Waveform

SECONDS = 10  # of the recording
_numbers = itertools.count(1)


class Processing(RuleBasedStateMachine):
    """One recording, and every worker that has claimed it: most of them have lost it since."""

    row: Transcription
    state: State

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[Transcription] = []
        self.segments: list[str] = []
        self.decode_seconds = 0.0  # that workers have reported

    @initialize()
    def upload(self) -> None:
        """A recording of a new account."""
        owner = User.objects.create_user(f"user-{next(_numbers)}@example.com")
        self.row = Transcription.objects.create(owner=owner, source="a.source", source_bytes=1)
        self.state = State.QUEUED

    # --- Workers --------------------------------------------------------------------------------

    @rule(state=st.sampled_from(WORKING))
    def claim(self, state: State) -> None:
        """A thread becomes free."""
        row = scheduling.claim_next(state, "celery@host")
        assert (row is not None) == (self.state == lifecycle.WAITING_STATE[state] and self.is_due())
        if row:
            self.workers.append(row)

    @rule(worker=st.integers(0, 3))
    def prepare(self, worker: int) -> None:
        """The audio is converted."""
        values: dict[str, Any] = {
            "format": "wav",
            "duration": SECONDS,
            "waveform": Waveform(),
            "note": "",
        }
        spans = [Span(0, SECONDS)]
        self.as_worker(
            worker,
            State.PREPROCESSING,
            lambda row: lifecycle.mark_prepared(row, audio="a.wav", spans=spans, **values),
        )

    @rule(worker=st.integers(0, 3))
    def recognize(self, worker: int) -> None:
        """The engine yields the next sentence."""

        def add(row: Transcription) -> None:
            number = len(self.segments) + 1
            lifecycle.mark_started(row, "whisper", Metadata("en", "model"))
            row.unsaved_usage = UsageDelta(0.1)
            stored = add_segment(row, number)
            assert stored.number == number
            self.segments.append(stored.text)

        if len(self.segments) < SECONDS:
            self.as_worker(worker, State.TRANSCRIBING, add)

    @rule(worker=st.integers(0, 3))
    def complete(self, worker: int) -> None:
        """The engine has finished."""
        meter = Complete(SECONDS, 1.0)
        self.as_worker(worker, State.TRANSCRIBING, lambda row: lifecycle.mark_completed(row, meter))

    @rule(worker=st.integers(0, 3))
    def fail(self, worker: int) -> None:
        """The engine fails."""
        self.as_worker(worker, None, lambda row: lifecycle.mark_failed(row, "code", "message"))

    @rule(worker=st.integers(0, 3))
    def stop(self, worker: int) -> None:
        """A worker shuts down."""
        self.as_worker(worker, None, lifecycle.release)

    @rule(worker=st.integers(0, 3), seconds=st.sampled_from([0.0, 3600.0]))
    def delay(self, worker: int, seconds: float) -> None:
        """The engine is unreachable."""
        self.as_worker(worker, None, lambda row: lifecycle.reschedule(row, "code", seconds))

    @rule(worker=st.integers(0, 3))
    def renew(self, worker: int) -> None:
        """A worker renews its lease."""
        self.as_worker(worker, None, renew)

    @rule()
    def lose_worker(self) -> None:
        """A worker is killed."""
        expire(self.row)

    @rule()
    def restart_worker(self) -> None:
        """A worker is killed and started again."""
        lifecycle.recover(Transcription.objects.filter(worker="celery@host"))

    # --- The owner ------------------------------------------------------------------------------

    @rule()
    def cancel(self) -> None:
        """Cancel, if it has not finished."""
        self.as_owner(self.state not in FINISHED, commands.cancel)

    @rule()
    def retry(self) -> None:
        """Resume, if it has failed or was cancelled."""
        self.as_owner(self.state in (State.FAILED, State.CANCELLED), commands.retry)

    # --- What always holds ----------------------------------------------------------------------

    @invariant()
    def is_consistent(self) -> None:
        """One invariant, because the order of several is not defined: the row is read first."""
        self.transition_is_legal()
        self.has_a_lease_exactly_while_it_is_worked_on()
        self.no_segment_is_lost_or_doubled()
        self.is_charged_exactly_once()
        self.no_usage_is_lost()

    def transition_is_legal(self) -> None:
        """Each step makes at most one legal transition. Reads the row."""
        self.row.refresh_from_db()
        new = State(self.row.state)
        assert new == self.state or new in TRANSITIONS[self.state]
        self.state = new

    def has_a_lease_exactly_while_it_is_worked_on(self) -> None:
        """And at most one worker has it."""
        assert (self.row.lease is not None) == (self.state in WORKING)
        assert sum(self.has_lease(worker) for worker in self.workers) == (self.state in WORKING)

    def no_segment_is_lost_or_doubled(self) -> None:
        """In order, and each once."""
        assert texts(self.row) == self.segments

    def is_charged_exactly_once(self) -> None:
        """Cancelled parts are not charged again when the rest is."""
        billed = UsageRecord.objects.filter(transcription=self.row.id, billed=True)
        charged = sum(record.audio_ms for record in billed)
        if self.state == State.COMPLETED:
            assert charged == (SECONDS * 1000 if self.segments else 0)
        elif self.state == State.CANCELLED:
            assert charged == (len(self.segments) * 1000 - 100 if self.segments else 0)
        assert charged <= SECONDS * 1000
        assert all(record.audio_ms > 0 for record in billed)

    def no_usage_is_lost(self) -> None:
        """What was decoded for stored segments is in the ledger or not billed yet."""
        records = UsageRecord.objects.filter(transcription=self.row.id)
        recorded = sum(record.decode_ms for record in records.exclude(outcome="completed"))
        unbilled = round(self.row.progress.unbilled_decode_seconds * 1000)
        if self.state != State.COMPLETED:
            assert recorded + unbilled == 100 * len(self.segments)

    # --- Helpers --------------------------------------------------------------------------------

    def is_due(self) -> bool:
        until = self.row.progress.lease_until
        return until is None or until <= timezone.now()

    def has_lease(self, worker: Transcription) -> bool:
        return worker.lease is not None and worker.lease == self.row.lease

    def as_worker(
        self, worker: int, state: State | None, change: Callable[[Transcription], object]
    ) -> None:
        """Let one of the last four workers make a change, if it works in `state`. It must be
        refused exactly if it has lost its lease."""
        if worker >= len(self.workers):
            return
        row = self.workers[-1 - worker]
        if state and row.state != state:
            return
        if self.has_lease(row):
            change(row)
        else:
            with pytest.raises(LeaseLost):
                change(row)

    def as_owner(self, allowed: bool, command: Callable[[Transcription], None]) -> None:
        row = Transcription.objects.get(id=self.row.id)
        if allowed:
            command(row)
        else:
            with pytest.raises(WrongState):
                command(row)

    def teardown(self) -> None:
        """Only the recording of the running example may wait for a worker."""
        with suppress(AttributeError):
            self.row.owner.delete()


@pytest.mark.covers("fault", "Workers and owners act on a recording in any order")
@pytest.mark.django_db(transaction=True)
def test_processing_as_a_state_machine(folders: None) -> None:
    settings = hypothesis_settings(
        max_examples=hypothesis_settings().max_examples // 5, stateful_step_count=30
    )
    run_state_machine_as_test(Processing, settings=settings)
