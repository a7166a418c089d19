"""The speakers of recordings that are complete are detected without recognizing them again."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app
from django.utils import timezone

from accounts.models import Outcome, UsageRecord, User
from accounts.rate_limits import Throttled
from accounts.usage import rebuild
from gpu.diarization.types import Diarization, Turn
from transcodio_site.testing import Media
from transcodio_site.testing_media import CHANGES_S
from transcriptions import queue
from transcriptions.editing import service as editing
from transcriptions.editing.log import redo, undo
from transcriptions.exceptions import AudioDeleted, NoSpeech, WrongState
from transcriptions.models import DiarizationJob, Options, Phase, State, Transcription
from transcriptions.processing import (
    commands,
    detection,
    diarization_jobs,
    pipeline,
)
from transcriptions.processing.tests.detecting import job_of, work
from transcriptions.processing.tests.diarizers import ScriptedDiarizer
from transcriptions.processing.tests.helpers import SpanEngine, fresh
from transcriptions.processing.tests.test_channels import call
from transcriptions.processing.tests.test_diarizing import changes, speakers
from transcriptions.testing import Upload, run_concurrently, set_state

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("check_no_temporary_files"),
]


def copies(row: Transcription, count: int, owner: User | None = None) -> list[Transcription]:
    """More completed recordings with a segment, without audio."""
    rows = []
    for number in range(count):
        other = Transcription.objects.create(
            owner=owner or row.owner,
            title=str(number),
            source="none",
            source_bytes=1,
            state=State.COMPLETED,
            completed_at=timezone.now(),
        )
        other.segments.create(number=1, start=0.0, end=1.0, text="Yes.")
        rows.append(other)
    return rows


# --- What it does ----------------------------------------------------------------------------


def test_words_get_speakers_and_nothing_else_changes(
    complete: Transcription, diarizer: ScriptedDiarizer
) -> None:
    before = list(complete.segments.values("number", "start", "end", "text", "recognized"))
    charged = UsageRecord.objects.get()
    job = commands.detect_speakers(complete, 2, 3)
    assert (job.state, job.error) == ("waiting", "")
    assert work()
    assert speakers(complete) == [1, 1, 2, 2, 2]
    assert list(complete.segments.values("number", "start", "end", "text", "recognized")) == before
    assert [(s.number, s.name) for s in complete.speakers.all()] == [(1, ""), (2, "")]
    ((audio, limits),) = diarizer.calls
    assert (limits.minimum, limits.maximum) == (2, 3)
    assert audio.spans[0].start < 1
    complete = fresh(complete)
    assert (complete.state, complete.audio.name, job_of(complete)) == (State.COMPLETED, "", None)
    assert (complete.options.diarize, complete.options.max_speakers) == (True, 3)
    (event,) = changes(complete)
    assert [each.speaker for each in event.segments] == [1, 1, 2, 2, 2]
    assert [step.phase for step in complete.steps.all()][-2:] == [Phase.SPEAKERS, Phase.COMPLETED]
    assert UsageRecord.objects.exclude(pk=charged.pk).get().outcome == Outcome.SPEAKERS


def test_detection_can_be_undone(complete: Transcription, diarizer: ScriptedDiarizer) -> None:
    commands.detect_speakers(complete)
    assert work()
    undo(complete)
    assert speakers(complete) == [None] * 5
    assert not complete.speakers.exists()
    redo(complete)
    assert speakers(complete) == [1, 1, 2, 2, 2]
    assert [speaker.number for speaker in complete.speakers.all()] == [1, 2]


def test_two_voices_are_told_apart_in_a_transcript(
    upload: Upload, media: Media, span_engine: SpanEngine
) -> None:
    row = upload(media.two_voices("talk.wav"))
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    calls = len(span_engine.calls)
    assert speakers(row) == [None] * row.segments.count()
    commands.detect_speakers(row)
    assert work()
    assert speakers(row) == [
        1 + sum(segment.start > change for change in CHANGES_S) % 2
        for segment in row.segments.all()
    ]
    assert len(span_engine.calls) == calls


def test_usage_is_time_of_the_cpu_and_not_charged(
    complete: Transcription, diarizer: ScriptedDiarizer
) -> None:
    diarizer.before[1] = lambda: sum(range(200_000))
    commands.detect_speakers(complete)
    assert work()
    record = UsageRecord.objects.get(outcome=Outcome.SPEAKERS)
    assert (record.engine, record.model) == ("diarizer", "embedded")
    assert (record.user_id, record.transcription) == (complete.owner_id, complete.id)
    assert record.decode_ms > 0
    assert (record.audio_ms, record.billed, record.cost_micro_usd) == (0, False, 0)
    assert record.reason == "Speakers detected. Not charged."
    assert rebuild.count_differences() == 0


def test_channels_that_were_kept_apart_are_speakers(
    upload: Upload, media: Media, span_engine: SpanEngine, diarizer: ScriptedDiarizer
) -> None:
    row = upload(call(media))
    row.stored_options = Options(channels="separate").as_json()
    row.save()
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    assert set(speakers(row)) == {None}
    commands.detect_speakers(row)
    assert work()
    assert len(set(speakers(row))) == 2
    channels = {(s.channel, s.speaker) for s in row.segments.all()}
    assert len(channels) == 2
    assert diarizer.calls == []


def test_names_are_kept_where_the_speaker_is_the_same(
    complete: Transcription, diarizer: ScriptedDiarizer
) -> None:
    commands.detect_speakers(complete)
    assert work()
    for number, name in ((1, "Anna"), (2, "Ben")):
        complete.speakers.filter(number=number).update(name=name)
    # Now the second of Ben's three sentences is by somebody who was not heard before.
    turns = (Turn(0.0, 2.0, 2), Turn(2.0, 3.0, 1), Turn(3.0, 4.0, 3), Turn(4.0, 10.0, 1))
    diarizer.results = [Diarization(turns, 10.0, is_final=True)]
    commands.detect_speakers(complete)
    assert work()
    assert speakers(complete) == [2, 2, 1, 3, 1]
    names = [(s.number, s.name) for s in complete.speakers.all()]
    assert names == [(1, "Ben"), (2, "Anna"), (3, "")]


def test_edits_are_kept(complete: Transcription, diarizer: ScriptedDiarizer) -> None:
    editing.correct(complete, 3, "Another sentence entirely.")
    commands.detect_speakers(complete)
    assert work()
    segment = complete.segments.get(number=3)
    assert (segment.text, segment.speaker) == ("Another sentence entirely.", 2)
    assert {word["speaker"] for word in segment.words} == {2}
    assert {word["speaker"] for word in segment.recognized or []} == {2}


# --- What is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("state", [state for state in State if state != State.COMPLETED])
def test_only_complete_recordings_have_their_speakers_detected(
    prepared: Transcription, state: State
) -> None:
    set_state(state)
    with pytest.raises(WrongState):
        commands.detect_speakers(prepared)
    assert not DiarizationJob.objects.exists()


def test_recording_without_audio_or_speech_is_refused(complete: Transcription) -> None:
    complete.segments.all().delete()
    with pytest.raises(NoSpeech):
        commands.detect_speakers(complete)
    commands.delete_audio(complete)
    with pytest.raises(AudioDeleted):
        commands.detect_speakers(complete)


def test_number_of_waiting_jobs_of_an_account_is_limited(
    complete: Transcription, settings: Any, bob: User
) -> None:
    settings.MAX_WAITING_PER_ACCOUNT = 1
    first, second = copies(complete, 2)
    commands.detect_speakers(first)
    with pytest.raises(Throttled, match="which is the limit"):
        commands.detect_speakers(second)
    commands.detect_speakers(first)  # is under way
    commands.detect_speakers(copies(complete, 1, bob)[0])


# --- Whose turn it is ------------------------------------------------------------------------


@pytest.mark.covers("fault", "Several users and workers start detecting the same speakers")
def test_concurrent_requests_and_workers_lead_to_one_detection(
    complete: Transcription, diarizer: ScriptedDiarizer
) -> None:
    jobs = run_concurrently(*[lambda: commands.detect_speakers(complete)] * 4)
    assert len({job.created_at for job in jobs}) == 1
    claimed = run_concurrently(*[diarization_jobs.claim_next] * 4)
    (job,) = filter(None, claimed)
    assert detection.run(job)
    assert len(diarizer.calls) == 1


def test_accounts_take_turns_with_one_job_at_a_time(complete: Transcription, bob: User) -> None:
    alices = copies(complete, 3)
    for each in alices:
        commands.detect_speakers(each)
    first = diarization_jobs.claim_next()
    assert first
    assert first.pk == alices[0].pk
    assert diarization_jobs.claim_next() is None  # one of an account at a time
    (bobs,) = copies(complete, 1, bob)
    commands.detect_speakers(bobs)
    diarization_jobs.cancel(alices[0])
    second = diarization_jobs.claim_next()
    assert second
    assert second.pk == bobs.pk
    third = diarization_jobs.claim_next()
    assert third
    assert third.pk == alices[1].pk


def test_messages_do_not_pile_up(
    complete: Transcription, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands.detect_speakers(complete)
    task = current_app.tasks[diarization_jobs.TASK]
    sent: list[str] = []
    monkeypatch.setattr(queue, "enqueue", lambda task: sent.append(task.task))
    for pending in (0, settings.CELERY_WORKER_CONCURRENCY):
        monkeypatch.setattr(queue, "pending", lambda name, n=pending: n)
        diarization_jobs.enqueue_next()
    assert sent == [task.name]
