"""Rows are claimed by one worker at a time, and every change checks the claim."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from gpu.types import Complete, Metadata, Span
from transcriptions.exceptions import LeaseLost
from transcriptions.models import State, Transcription
from transcriptions.processing import lifecycle
from transcriptions.processing.tests.helpers import expire, renew
from transcriptions.testing import add_segment, set_state, texts
from transcriptions.waveform import Waveform

pytestmark = pytest.mark.django_db


def claim(row: Transcription, state: State = State.TRANSCRIBING) -> Transcription:
    claimed = lifecycle.claim(row.id, state)
    assert claimed
    return claimed


def test_row_is_claimed_once(prepared: Transcription) -> None:
    assert claim(prepared).state == State.TRANSCRIBING
    assert lifecycle.claim(prepared.id, State.TRANSCRIBING) is None


def test_only_a_row_in_the_waiting_state_can_be_claimed(prepared: Transcription) -> None:
    assert lifecycle.claim(prepared.id, State.PREPROCESSING) is None
    assert lifecycle.claim(uuid.uuid4(), State.TRANSCRIBING) is None
    set_state(State.COMPLETED)
    assert lifecycle.claim(prepared.id, State.TRANSCRIBING) is None


def test_every_change_without_the_lease_raises_lease_lost(prepared: Transcription) -> None:
    lost = claim(prepared)
    expire(prepared)
    holder = claim(prepared)
    changes = [
        lambda: renew(lost),
        lambda: lifecycle.release(lost),
        lambda: lifecycle.mark_started(lost, "x", Metadata("en", "m")),
        lambda: add_segment(lost, 1),
        lambda: lifecycle.mark_completed(lost, Complete(1, 1)),
        lambda: lifecycle.mark_failed(lost, "code", "sentence"),
        lambda: lifecycle.mark_prepared(
            lost,
            audio="a",
            format="wav",
            duration=1,
            spans=[Span(0, 1)],
            waveform=Waveform(),
            note="",
        ),
    ]
    for change in changes:
        with pytest.raises(LeaseLost):
            change()
    holder.refresh_from_db()
    assert (holder.state, texts(holder)) == (State.TRANSCRIBING, [])


def test_failed_row_cannot_be_completed(prepared: Transcription) -> None:
    row = claim(prepared)
    lifecycle.mark_failed(row, "code", "sentence")
    with pytest.raises(LeaseLost):
        lifecycle.mark_completed(row, Complete(1, 1))


def test_segments_are_numbered_from_one(prepared: Transcription) -> None:
    row = claim(prepared)
    assert [add_segment(row, n).number for n in (1, 2, 3)] == [1, 2, 3]
    assert row.text == "Sentence 1. Sentence 2. Sentence 3."


def test_only_rows_of_lost_workers_are_recovered(prepared: Transcription) -> None:
    expire(prepared)  # no worker has it
    row = claim(prepared)
    lifecycle.recover(Transcription.objects.with_expired_lease())
    renew(row)
    expire(prepared)
    prepared.refresh_from_db()
    assert (prepared.state, prepared.interruptions) == (State.PREPARED, 1)
    with pytest.raises(LeaseLost):
        renew(row)


def test_delete_removes_the_files_after_commit(
    prepared: Transcription, django_capture_on_commit_callbacks: Any
) -> None:
    paths = [Path(prepared.source.path), Path(prepared.audio.path)]
    with django_capture_on_commit_callbacks(execute=True):
        prepared.delete()
        assert all(path.exists() for path in paths)  # not committed yet
    assert not any(path.exists() for path in paths)


def test_row_without_files_can_be_deleted(prepared: Transcription) -> None:
    Path(prepared.source.path).unlink()
    prepared.delete()
    assert not Transcription.objects.exists()
