"""The detection of speakers ends, whatever happens to workers, recordings and diarizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accounts.models import Outcome, UsageRecord
from gpu.types import EngineError
from transcodio_site.testing import wait_until
from transcriptions.models import DiarizationJob, State, Transcription
from transcriptions.processing import commands, detection, diarization_jobs, leases, tasks
from transcriptions.processing.tests.detecting import expire, job_of, work
from transcriptions.processing.tests.diarizers import ScriptedDiarizer
from transcriptions.processing.tests.helpers import fresh, raising
from transcriptions.processing.tests.test_diarizing import changes, speakers
from transcriptions.testing import stored_files

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("check_no_temporary_files"),
]


@pytest.mark.covers("fault", "The worker is killed while it detects the speakers of a transcript")
def test_job_of_a_killed_worker_is_done_by_another_one(
    complete: Transcription, diarizer: ScriptedDiarizer
) -> None:
    commands.detect_speakers(complete)
    lost = diarization_jobs.claim_next("worker@lost")
    assert lost
    diarization_jobs._update_held(lost, decode_seconds=3.0)  # as it does every second
    assert diarization_jobs.claim_next() is None
    expire(complete)
    assert work()
    assert speakers(complete) == [1, 1, 2, 2, 2]
    assert UsageRecord.objects.get(outcome=Outcome.SPEAKERS).decode_ms >= 3000
    assert not detection.run(lost)  # it was only slow
    assert len(changes(complete)) == 1


@pytest.mark.covers("fault", "A transcript kills each worker that detects its speakers")
def test_job_that_kills_workers_is_given_up(complete: Transcription) -> None:
    commands.detect_speakers(complete)
    for _ in range(diarization_jobs.MAX_ATTEMPTS):
        assert diarization_jobs.claim_next()
        expire(complete)
    assert diarization_jobs.claim_next() is None
    job = job_of(complete)
    assert job
    assert (job.state, job.error) == ("failed", "The speakers could not be detected.")
    assert commands.detect_speakers(complete).state == "waiting"


def test_restarted_worker_takes_its_jobs_over(complete: Transcription) -> None:
    class Sender:
        hostname = "worker@test"

    commands.detect_speakers(complete)
    assert diarization_jobs.claim_next("worker@test")
    tasks._take_over_from_predecessor(Sender)
    assert diarization_jobs.claim_next("worker@test")


def test_shutdown_returns_the_job(complete: Transcription, diarizer: ScriptedDiarizer) -> None:
    commands.detect_speakers(complete)
    diarizer.before[1] = leases.shutting_down.set
    try:
        assert not work()
        tasks.diarize.apply()  # a worker that shuts down begins nothing
    finally:
        leases.shutting_down.clear()
    job = job_of(complete)
    assert job
    assert (job.state, job.attempts) == ("waiting", 0)
    diarizer.before = {}
    assert work()


def test_cancelling_stops_the_worker_and_changes_no_speaker(
    complete: Transcription, diarizer: ScriptedDiarizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diarization_jobs, "CHECK_INTERVAL_S", 0.0)

    def cancel() -> None:
        diarization_jobs.cancel(complete)
        wait_until(lambda: diarizer.stopped())

    diarizer.before[1] = cancel
    commands.detect_speakers(complete)
    assert not work()
    assert (speakers(complete), job_of(complete)) == ([None] * 5, None)
    assert fresh(complete).state == State.COMPLETED
    diarization_jobs.cancel(complete)  # nothing is left to do


def test_recording_can_be_deleted_while_its_speakers_are_detected(
    complete: Transcription, diarizer: ScriptedDiarizer, settings: Any
) -> None:
    def delete() -> None:
        DiarizationJob.objects.update(decode_seconds=2.0)
        fresh(complete).delete()

    diarizer.before[1] = delete
    commands.detect_speakers(complete)
    assert not work()
    assert not Transcription.objects.exists()
    assert stored_files(settings) == []
    record = UsageRecord.objects.get(outcome=Outcome.SPEAKERS)
    assert (record.decode_ms, record.billed) == (2000, False)


@pytest.mark.covers("fault", "The audio is deleted before its speakers are detected")
@pytest.mark.parametrize("is_only_file", [False, True])
def test_deleted_audio_is_said(complete: Transcription, is_only_file: bool) -> None:
    commands.detect_speakers(complete)
    if is_only_file:
        Path(complete.source.path).unlink()
    else:
        commands.delete_audio(complete)
    assert not work()
    job = job_of(complete)
    assert job
    assert job.error == "The audio of this recording has been deleted."


def test_damaged_audio_is_said(complete: Transcription) -> None:
    Path(complete.source.path).write_bytes(b"not audio")
    commands.detect_speakers(complete)
    assert not work()
    job = job_of(complete)
    assert job
    assert job.state == "failed"
    assert "not" in job.error


@pytest.mark.covers("fault", "The diarizer fails while it detects the speakers of a transcript")
def test_failure_keeps_the_speakers_of_before(
    complete: Transcription, diarizer: ScriptedDiarizer
) -> None:
    commands.detect_speakers(complete)
    assert work()
    diarizer.before[1] = raising(EngineError("no weights"))
    commands.detect_speakers(complete)
    assert not work()
    assert speakers(complete) == [1, 1, 2, 2, 2]
    job = job_of(complete)
    assert job
    assert job.error == "The speakers could not be detected."
