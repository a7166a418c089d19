"""A speaker who may be two people: the voices of the segments are compared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.models import Outcome, UsageRecord
from accounts.usage import rebuild
from gpu.diarization import splitting
from gpu.types import EngineUnavailable
from transcodio_site.testing import ROOT, Media, wait_until
from transcodio_site.testing_media import CHANGES_S
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
    pipeline,
    split_proposals,
    tasks,
    voice_comparison,
)
from transcriptions.processing.split_proposals import present, propose
from transcriptions.processing.tests.helpers import raising, worker_environment
from transcriptions.testing import ScriptedEngine, Upload, run_concurrently, set_state

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("check_no_temporary_files"),
]

END_S = 40.0
SECOND_VOICE = [4, 5, 6, 10, 11, 12]


@pytest.fixture
def merged(upload: Upload, media: Media, engine: ScriptedEngine) -> Transcription:
    """A conversation of two people in twelve segments, all of them by one speaker."""
    row = upload(media.two_voices("talk.wav"))
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    row.segments.all().delete()
    turns = list(pairwise((0.0, *CHANGES_S, END_S)))
    for number in range(1, 13):
        start, end = turns[(number - 1) // 3]
        third, part = (end - start) / 3, (number - 1) % 3
        add(row, number, start + part * third, start + (part + 1) * third)
    row.speakers.create(number=1, name="Anna")
    return row


def add(row: Transcription, number: int, start: float, end: float) -> None:
    text = f"Sentence {number}."
    words = [{"start": start, "end": end, "text": text, "speaker": 1}]
    row.segments.create(number=number, start=start, end=end, text=text, words=words, speaker=1)


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


LISTENING = """
import sys, time, django
django.setup()
from transcriptions.processing import voice_comparison
voice_comparison.CHECK_INTERVAL_S = 0.0
def listen(path, stretches, check):
    while True:
        check()
        time.thread_time() > 30 and sys.exit("nobody has killed it")
voice_comparison.two_voices = listen
voice_comparison.compare(int(sys.argv[1]))
"""


@pytest.mark.covers("fault", "The worker is killed while it compares the voices of a speaker")
def test_comparison_of_a_killed_worker_is_metered_once(
    merged: Transcription, settings: Any
) -> None:
    proposal = propose(merged, 1)
    arguments = [sys.executable, "-c", LISTENING, str(proposal.id)]
    process = subprocess.Popen(arguments, cwd=ROOT, env=worker_environment(settings))
    try:
        wait_until(lambda: used() > 0.1 or process.poll() is not None)
    finally:
        process.kill()
        process.wait()
    killed_after_s = used()
    assert killed_after_s > 0.1
    assert ledger() == []
    assert present(merged, 1) == propose(merged, 1) == proposal
    end_lease()
    tasks.compare_voices(str(proposal.id))
    (decode_seconds,) = ledger()
    assert decode_seconds > round(killed_after_s, 3)
    assert used() == 0
    assert SplitProposal.objects.get().segments == SECOND_VOICE
    tasks.compare_voices(str(proposal.id))  # the message of before
    merged.delete()
    assert ledger() == [decode_seconds]
    assert rebuild.count_differences() == 0


def used() -> float:
    """The seconds of comparisons that are not in the ledger yet."""
    return sum(SplitProposal.objects.values_list("decode_seconds", flat=True))


def ledger() -> list[float]:
    """The seconds of each row of a comparison."""
    records = UsageRecord.objects.filter(outcome=Outcome.SPEAKERS, billed=False)
    return [record.decode_seconds for record in records]


def end_lease() -> None:
    """Let time pass until the lease of a worker that was lost has expired."""
    SplitProposal.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def test_usage_of_a_proposal_that_is_replaced_is_metered_once(merged: Transcription) -> None:
    proposal = propose(merged, 1)
    SplitProposal.objects.update(decode_seconds=3.0)  # its worker was killed
    correct(merged, 1, "Another sentence.")
    assert propose(merged, 1) != proposal
    assert ledger() == [3.0]
    voice_comparison.compare(proposal.id)  # the message of before
    merged.delete()
    assert ledger() == [3.0]


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


def test_comparison_that_kills_workers_is_given_up(
    merged: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, stretches: object, check: Callable[[], None]) -> None:
        check()
        raise SystemExit

    monkeypatch.setattr(voice_comparison, "CHECK_INTERVAL_S", 0.0)
    monkeypatch.setattr(voice_comparison, "two_voices", killed)
    proposal = propose(merged, 1)
    for _ in range(voice_comparison.MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            voice_comparison.compare(proposal.id)
        assert not SplitProposal.objects.due().exists()
        voice_comparison.compare(proposal.id)  # another worker does not have it
        end_lease()
    SplitProposal.objects.update(decode_seconds=3.0)
    voice_comparison.compare(proposal.id)
    proposal.refresh_from_db()
    assert proposal.error == "The voices could not be compared."
    assert ledger() == [3.0]
    assert propose(merged, 1).state == "waiting"  # it can be asked for again


@pytest.mark.parametrize(
    "disturb",
    [
        lambda proposal: proposal.transcription.delete(),
        lambda proposal: SplitProposal.objects.update(attempts=F("attempts") + 1),
    ],
    ids=["deleted", "taken over"],
)
def test_comparison_stops_when_nobody_waits_for_it(
    merged: Transcription,
    monkeypatch: pytest.MonkeyPatch,
    disturb: Callable[[SplitProposal], object],
) -> None:
    monkeypatch.setattr(voice_comparison, "CHECK_INTERVAL_S", 0.0)
    proposal = propose(merged, 1)
    original = splitting.two_voices

    def compared(*arguments: object) -> object:
        SplitProposal.objects.update(decode_seconds=3.0)
        disturb(SplitProposal.objects.get())
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(voice_comparison, "two_voices", compared)
    voice_comparison.compare(proposal.id)
    assert not SplitProposal.objects.exclude(segments__isnull=True, error="").exists()
    assert used() + sum(ledger()) == 3.0  # recorded by the deletion, or later by the other worker


def test_concurrent_requests_and_workers_lead_to_one_comparison(merged: Transcription) -> None:
    ids = {each.id for each in run_concurrently(*[lambda: propose(merged, 1)] * 3)}
    (proposal_id,) = ids
    run_concurrently(*[lambda: voice_comparison.compare(proposal_id)] * 3)
    proposal = SplitProposal.objects.get()
    assert (proposal.attempts, proposal.segments) == (1, SECOND_VOICE)
