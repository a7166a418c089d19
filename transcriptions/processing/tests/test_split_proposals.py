"""A speaker who may be two people: the voices of the segments are compared."""

from __future__ import annotations

import pytest

from accounts.models import Outcome, UsageRecord
from accounts.usage import rebuild
from gpu.diarization import splitting
from gpu.types import EngineUnavailable
from transcriptions import queue
from transcriptions.editing import log
from transcriptions.editing.service import correct
from transcriptions.editing.speakers import split_speaker
from transcriptions.exceptions import (
    AudioDeleted,
    EditConflict,
    TooManyProposals,
    UnknownSpeaker,
    WrongState,
)
from transcriptions.models import SplitProposal, State, Transcription
from transcriptions.processing import (
    leases,
    split_proposals,
    tasks,
    voice_comparison,
)
from transcriptions.processing.split_proposals import present, propose
from transcriptions.processing.tests.helpers import raising
from transcriptions.testing import run_concurrently, set_state

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("check_no_temporary_files"),
]

SECOND_VOICE = [4, 5, 6, 10, 11, 12]


def compare(row: Transcription, number: int = 1) -> SplitProposal:
    """Ask for a proposal, and do what the worker does then."""
    proposal = propose(row, number)
    voice_comparison.compare(proposal.id)
    proposal.refresh_from_db()
    return proposal


def test_segments_of_the_second_voice_are_proposed(merged: Transcription) -> None:
    proposal = compare(merged)
    assert (proposal.state, proposal.segments, proposal.is_clear) == ("ready", SECOND_VOICE, True)
    assert present(merged, 1) == proposal == propose(merged, 1)  # not computed again
    changed = split_speaker(merged, 1, proposal.segments or (), proposal.revision)
    assert [segment.number for segment in changed] == SECOND_VOICE
    assert log.names_of(merged) == {"1": "Anna", "2": ""}
    log.undo(merged)
    assert log.names_of(merged) == {"1": "Anna"}
    assert not merged.segments.exclude(speaker=1).exists()


def test_comparison_is_metered_and_not_charged(merged: Transcription) -> None:
    compare(merged)
    record = UsageRecord.objects.get(outcome=Outcome.SPEAKERS)
    assert (record.engine, record.model) == ("diarizer", "embedded")
    assert (record.user_id, record.transcription) == (merged.owner_id, merged.id)
    assert record.decode_ms > 0
    assert (record.audio_ms, record.billed, record.cost_micro_usd) == (0, False, 0)
    assert record.reason == "Voices compared. Not charged."
    propose(merged, 1)  # which is there already
    assert UsageRecord.objects.filter(outcome=Outcome.SPEAKERS).count() == 1
    assert rebuild.count_differences() == 0


def test_comparison_that_fails_is_metered(
    merged: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compared(*arguments: object) -> object:
        splitting.two_voices(*arguments)  # type: ignore[arg-type]
        raise EngineUnavailable("no weights")

    monkeypatch.setattr(voice_comparison, "two_voices", compared)
    assert compare(merged).state == "failed"
    assert UsageRecord.objects.get(outcome=Outcome.SPEAKERS).decode_ms > 0


def test_proposal_is_outdated_when_the_transcript_has_changed(merged: Transcription) -> None:
    proposal = compare(merged)
    correct(merged, 1, "Another sentence.")
    assert present(merged, 1) is None
    with pytest.raises(EditConflict):
        split_speaker(merged, 1, SECOND_VOICE, proposal.revision)
    assert propose(merged, 1).state == "waiting"
    assert SplitProposal.objects.count() == 1


def test_speaker_with_too_few_segments_cannot_be_compared(merged: Transcription) -> None:
    merged.segments.filter(number__gt=3).delete()
    proposal = compare(merged)
    assert (proposal.state, proposal.segments) == ("failed", None)
    assert proposal.error == "This speaker says too little to compare voices."
    assert propose(merged, 1).state == "waiting"  # it can be asked for again


def test_proposals_need_audio_an_end_and_a_speaker(merged: Transcription) -> None:
    with pytest.raises(UnknownSpeaker):
        propose(merged, 2)
    source = merged.source
    Transcription.objects.filter(id=merged.id).update(source="")
    with pytest.raises(AudioDeleted):
        propose(merged, 1)
    Transcription.objects.filter(id=merged.id).update(source=source)
    set_state(State.QUEUED)
    with pytest.raises(WrongState):
        propose(merged, 1)


def test_waiting_proposals_of_an_account_are_limited(
    merged: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split_proposals, "MAX_WAITING", 1)
    merged.speakers.create(number=2)
    propose(merged, 1)
    with pytest.raises(TooManyProposals):
        propose(merged, 2)


def test_audio_that_is_deleted_meanwhile_is_a_failure(merged: Transcription) -> None:
    proposal = propose(merged, 1)
    merged.source.storage.delete(merged.source.name or "")
    voice_comparison.compare(proposal.id)
    proposal.refresh_from_db()
    assert proposal.error == "The voices could not be compared."


@pytest.mark.parametrize("error", [EngineUnavailable("no weights"), ValueError("unexpected")])
def test_failure_is_shown_and_changes_nothing(
    merged: Transcription, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(voice_comparison, "two_voices", raising(error))
    assert compare(merged).state == "failed"
    assert not merged.segments.exclude(speaker=1).exists()


def test_comparison_survives_the_end_of_its_worker(
    merged: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases.shutting_down.set()
    try:
        proposal = compare(merged)
    finally:
        leases.shutting_down.clear()
    assert proposal.state == "waiting"
    enqueued = list[object]()
    monkeypatch.setattr(queue, "enqueue", lambda task, proposal_id: enqueued.append(proposal_id))
    tasks.compare_waiting_voices()
    assert enqueued == [proposal.id]
    tasks.compare_voices(str(proposal.id))
    proposal.refresh_from_db()
    assert proposal.segments == SECOND_VOICE


def test_concurrent_requests_and_workers_lead_to_one_comparison(merged: Transcription) -> None:
    ids = {each.id for each in run_concurrently(*[lambda: propose(merged, 1)] * 3)}
    (proposal_id,) = ids
    run_concurrently(*[lambda: voice_comparison.compare(proposal_id)] * 3)
    proposal = SplitProposal.objects.get()
    assert (proposal.attempts, proposal.segments) == (1, SECOND_VOICE)
