"""Celery tasks of the pipeline. They may run more than once, late, or never: see `scheduling`."""

from __future__ import annotations

import uuid
from typing import Any

from celery import Task, shared_task
from celery.signals import worker_ready, worker_shutting_down
from structlog.contextvars import bind_contextvars

from gpu import tracing
from transcriptions import queue
from transcriptions.models import (
    DiarizationJob,
    SplitProposal,
    State,
    Transcription,
    VoiceLearning,
)
from transcriptions.models.voice_request import VoiceRequestQuerySet
from transcriptions.processing import (
    detection,
    diarization_jobs,
    lifecycle,
    live,
    pipeline,
    scheduling,
    voice_comparison,
    voice_learning,
)
from transcriptions.processing.leases import shutting_down

MAX_ENQUEUED = 20  # requests about voices, per run of a periodic task


@shared_task(name="transcriptions.tasks.preprocess", bind=True)
def preprocess(self: Task[Any, None], transcription_id: str = "") -> None:
    """The step that runs on the CPU, for the next recording that waits for it.

    `transcription_id` is the recording that led to this message, if it was one.
    """
    if row := _claim_next(State.PREPROCESSING, self, transcription_id):
        if pipeline.run(row):
            queue.enqueue(transcribe, row.id)
        scheduling.enqueue_next()  # that this one has waited for


@shared_task(name="transcriptions.tasks.transcribe", bind=True)
def transcribe(self: Task[Any, None], transcription_id: str = "") -> None:
    """The step that runs on the engine, for the next recording that waits for it."""
    if row := _claim_next(State.TRANSCRIBING, self, transcription_id):
        pipeline.run(row)
        scheduling.enqueue_next()


@shared_task(name="transcriptions.tasks.listen", bind=True)
def listen(self: Task[Any, None], transcription_id: str) -> None:
    """The work on a live session, while audio comes."""
    if not shutting_down.is_set():
        live.listen(uuid.UUID(transcription_id), self.request.hostname or "")


@shared_task(name="transcriptions.tasks.diarize", bind=True)
def diarize(self: Task[Any, None]) -> None:
    """Detect the speakers of a complete recording: of the next one that waits for it."""
    if shutting_down.is_set():
        return
    if job := diarization_jobs.claim_next(self.request.hostname or ""):
        bind_contextvars(job_id=str(job.pk))
        detection.run(job)
        diarization_jobs.enqueue_next()


@shared_task(name="transcriptions.tasks.requeue_stalled")
def requeue_stalled() -> None:
    """Recover recordings whose worker has died or hangs, and replace messages that were lost."""
    lifecycle.recover(Transcription.objects.with_expired_lease())
    scheduling.replace_lost_messages()
    diarization_jobs.recover(DiarizationJob.objects.with_expired_lease())
    diarization_jobs.enqueue_next()


@shared_task(name="transcriptions.tasks.learn_voice")
def learn_voice(learning_id: str) -> None:
    """Learn the voice of a speaker, as the owner of the recording has asked for."""
    voice_learning.learn(int(learning_id))


@shared_task(name="transcriptions.tasks.learn_waiting_voices")
def learn_waiting_voices() -> None:
    """Enqueue the work whose task was lost, or whose worker died."""
    voice_learning.request_missing()
    _enqueue_due(learn_voice, VoiceLearning.objects.due())


@shared_task(name="transcriptions.tasks.compare_voices")
def compare_voices(proposal_id: str) -> None:
    """Find out which segments of a speaker are by another voice."""
    voice_comparison.compare(int(proposal_id))


@shared_task(name="transcriptions.tasks.compare_waiting_voices")
def compare_waiting_voices() -> None:
    """Enqueue the work whose task was lost, or whose worker died."""
    _enqueue_due(compare_voices, SplitProposal.objects.due())


def _enqueue_due(task: Task[Any, None], due: VoiceRequestQuerySet[Any]) -> None:
    for request_id in due.order_by("id").values_list("id", flat=True)[:MAX_ENQUEUED]:
        queue.enqueue(task, request_id)


def _claim_next(state: State, task: Task[Any, None], named: str) -> Transcription | None:
    if shutting_down.is_set():
        return None
    row = scheduling.claim_next(state, task.request.hostname or "")
    if row:
        # The message may be about another recording, or a periodic one.
        bind_contextvars(job_id=str(row.id), request_id=row.request_id)
        if str(row.id) != named:
            tracing.leave()
    return row


@worker_ready.connect
def _take_over_from_predecessor(sender: Any, **_: Any) -> None:
    """What a worker of this name has held until now, it can no longer do: it was killed."""
    lifecycle.recover(Transcription.objects.with_live_lease().filter(worker=sender.hostname))
    scheduling.replace_lost_messages()
    held = DiarizationJob.objects.filter(lease__isnull=False, worker=sender.hostname)
    diarization_jobs.recover(held)
    diarization_jobs.enqueue_next()


@worker_shutting_down.connect
def _release_work(**_: Any) -> None:
    shutting_down.set()
