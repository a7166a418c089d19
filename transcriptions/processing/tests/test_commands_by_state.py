"""Every command of an owner, and every late message, in every state."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from accounts.models import UsageRecord
from transcriptions.editing import service as editing
from transcriptions.exceptions import WrongState
from transcriptions.models import FINISHED, WORKING, State, Transcription
from transcriptions.processing import commands, lifecycle, pipeline
from transcriptions.processing.tests.helpers import fresh
from transcriptions.testing import ScriptedEngine, add_segment, charged_ms, set_state, texts

pytestmark = pytest.mark.django_db(transaction=True)

Command = Callable[[Transcription], object]

COMMANDS: dict[str, Command] = {
    "cancel": commands.cancel,
    "retry": commands.retry,
    "rename": lambda row: editing.rename(row, "New title"),
    "edit": lambda row: editing.correct(row, 1, "Corrected.", "Sentence 1."),
    "delete audio": commands.delete_audio,
    "delete": lambda row: row.delete(),
    "late message: preprocess": lambda row: pipeline.preprocess(row.id),
    "late message: transcribe": lambda row: pipeline.transcribe(row.id),
}
UNCHANGED = dict.fromkeys(State, "same")
REFUSED = dict.fromkeys(State, "refused")

# By command and state: the state afterwards; "same", "refused" (WrongState) or "deleted".
EXPECTED: dict[str, dict[State, str]] = {
    "cancel": dict.fromkeys(State, "cancelled") | dict.fromkeys(FINISHED, "refused"),
    "retry": REFUSED | {State.FAILED: "queued", State.CANCELLED: "queued"},
    "rename": UNCHANGED,
    "edit": REFUSED | dict.fromkeys(FINISHED, "same"),
    "delete audio": REFUSED | dict.fromkeys(FINISHED, "same"),
    "delete": dict.fromkeys(State, "deleted"),
    "late message: preprocess": UNCHANGED | {State.QUEUED: "failed"},  # its source is no media
    "late message: transcribe": UNCHANGED | {State.PREPARED: "completed"},
}


def outcome(command: Command, row: Transcription) -> str:
    before = row.state
    try:
        command(row)
    except WrongState:
        after: str = fresh(row).state
        assert after == before
        return "refused"
    stored = Transcription.objects.filter(id=row.id).first()
    if stored is None:
        return "deleted"
    return "same" if stored.state == before else stored.state


@pytest.mark.covers("fault", "The message of a task arrives late, twice, or after the work is done")
@pytest.mark.covers("fault", "A recording is cancelled, resumed, edited or deleted in any state")
@pytest.mark.parametrize(("name", "state"), list(product(COMMANDS, State)))
def test_command_in_state(
    prepared: Transcription, engine: ScriptedEngine, name: str, state: State
) -> None:
    row = lifecycle.claim(prepared.id, State.TRANSCRIBING)
    assert row
    add_segment(row, 1)
    set_state(state)
    outcomes = [outcome(COMMANDS[name], fresh(prepared))]
    assert outcomes == [EXPECTED[name][state]]
    check_consistent(prepared)
    for late in "late message: preprocess", "late message: transcribe":
        if stored := Transcription.objects.filter(id=prepared.id).first():
            outcome(COMMANDS[late], stored)
    check_consistent(prepared)


def check_consistent(prepared: Transcription) -> None:
    """No segment is lost or doubled, nothing is charged twice, and no worker is missing."""
    row = Transcription.objects.filter(id=prepared.id).first()
    if row:
        assert (row.lease is not None) == (row.state in WORKING)
        assert texts(row)[1:] == [f"Sentence {n}." for n in range(2, len(texts(row)) + 1)]
        assert [s.number for s in row.segments.all()] == list(range(1, len(texts(row)) + 1))
    charged = charged_ms(prepared.owner)
    assert charged in (0, 900, 10_000)
    assert UsageRecord.objects.filter(billed=True).count() == (charged > 0)
