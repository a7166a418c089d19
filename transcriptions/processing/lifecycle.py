"""Every change of a recording's state, each in one short transaction.

A worker owns a row by its lease, which `claim` takes under a lock of the row. Every later
change checks that lease again, so a task that runs twice, late, or after its row was deleted
changes nothing. A row has a lease exactly in the two states in which it is worked on.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from gpu.types import Complete, Metadata, Span, UsageDelta
from gpu.types import Segment as SpokenSegment
from transcriptions.editing.annotations import copy_annotations
from transcriptions.editing.carrying import carry_over_edits
from transcriptions.exceptions import AudioDeleted, LeaseLost, WrongState
from transcriptions.models import (
    FINISHED,
    UNSUCCESSFUL,
    WORKING,
    AudioAnalysis,
    Phase,
    Priority,
    Progress,
    Segment,
    State,
    Transcription,
    lease_end,
    record_step,
)
from transcriptions.models.transcription import delete_after_commit
from transcriptions.processing.segment_storage import TRANSLATED, spoken_languages, store_segments
from transcriptions.queue import current_request_id
from transcriptions.signals import transcription_finished
from transcriptions.usage import metering
from transcriptions.waveform import Waveform

MAX_RECOVERED = 100  # rows in one call

# The legal transitions. A database trigger (migration 0019) refuses every other one.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.PREPROCESSING, State.CANCELLED}),
    State.PREPROCESSING: frozenset({State.QUEUED, State.PREPARED, State.FAILED, State.CANCELLED}),
    State.PREPARED: frozenset({State.TRANSCRIBING, State.CANCELLED}),
    State.TRANSCRIBING: frozenset({State.PREPARED, State.COMPLETED, State.FAILED, State.CANCELLED}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}

# By the state of a row with a worker: the previous state, and the phases of the history.
WAITING_STATE = {State.PREPROCESSING: State.QUEUED, State.TRANSCRIBING: State.PREPARED}
WORKING_PHASE = {State.PREPROCESSING: Phase.PREPROCESS, State.TRANSCRIBING: Phase.ENGINE}
WAITING_PHASE = {State.PREPROCESSING: Phase.QUEUE, State.TRANSCRIBING: Phase.READY}

NO_LEASE: dict[str, Any] = {"lease": None, "worker": ""}
PROGRESS: dict[str, Any] = {"attempts": 0, "interruptions": 0}  # whatever failed before is over


# --- Leases ------------------------------------------------------------------------------------


def claim(transcription_id: uuid.UUID, state: State, worker: str = "") -> Transcription | None:
    """Move a waiting row to `state` with a new lease for `worker`. Return None if it is not
    waiting: another worker has it, it is done, or deleted."""
    with transaction.atomic(savepoint=False):  # within that of all workers, which is short
        # Both statements by the id alone: with old statistics, PostgreSQL would look through all
        # rows in the state instead.
        rows = Transcription.objects.filter(id=transcription_id).order_by()
        row = rows.select_for_update(no_key=True).first()
        if row is None or row.state != WAITING_STATE[state]:
            return None
        row.state, row.lease, row.worker, row.claimed_at = state, uuid.uuid4(), worker, Now()
        row.save(update_fields=["state", "lease", "worker", "claimed_at"])
        update_progress(row, lease_until=lease_end())
        attempt = 1 + row.attempts + row.interruptions
        record_step(row, WORKING_PHASE[state], "" if attempt == 1 else f"Attempt {attempt}")
        return row


def ensure_held(row: Transcription) -> None:
    """Raises LeaseLost if this worker no longer has the lease."""
    if not _held(row).exists():
        raise LeaseLost(str(row.id))


def still_held(rows: Iterable[Transcription]) -> set[uuid.UUID]:
    """The leases that this worker still has, in one query."""
    return {row.lease for row in _all_held(rows).only("lease").order_by() if row.lease}


def renew_leases(rows: Iterable[Transcription]) -> None:
    """Extend the leases that this worker still has. A recording that is being changed is left out:
    nothing waits for it, and its lease can be renewed a moment later."""
    with transaction.atomic():
        locked = _all_held(rows).select_for_update(skip_locked=True, no_key=True)
        renewed = list(locked.values_list("id", flat=True))
        Progress.objects.filter(transcription__in=renewed).update(lease_until=lease_end())


def release(row: Transcription) -> None:
    """Return unfinished work; the next worker continues it. Raises LeaseLost."""
    return_to_queue(row, "Interrupted: the worker stopped")


def reschedule(row: Transcription, reason: str, seconds: float, attempted: bool = True) -> None:
    """Return the row after a problem, to be retried after `seconds`. Counts as an attempt only if
    `attempted`. Raises LeaseLost."""
    return_to_queue(
        row,
        f"Delayed: {reason}",
        not_before=Now() + timedelta(seconds=seconds),
        attempts=F("attempts") + (1 if attempted else 0),
    )


def recover(lost: models.QuerySet[Transcription]) -> None:
    """Take rows from workers that have died or hang. At most MAX_RECOVERED at a time."""
    for transcription_id in list(lost.values_list("id", flat=True)[:MAX_RECOVERED]):
        with transaction.atomic():
            rows = Transcription.objects.filter(id=transcription_id)
            locked = rows.select_for_update(skip_locked=True, no_key=True).first()
            # Read again under the lock: the worker may have renewed its lease.
            if locked and (row := lost.filter(id=transcription_id).first()):
                more = F("interruptions") + 1
                return_to_queue(row, "Interrupted: the worker was lost", interruptions=more)


def return_to_queue(
    row: Transcription, detail: str, not_before: CombinedExpression | None = None, **values: Any
) -> None:
    """The row waits for a worker, no earlier than `not_before`. Raises LeaseLost."""
    with transaction.atomic():
        ensure_held(row)  # first: without a lease there is no state to return to
        state = State(row.state)
        _end_lease(row, not_before, state=WAITING_STATE[state], **values)
        metering.record_interrupted(row, metering.take_unbilled_usage(row))
        record_step(row, WAITING_PHASE[state], detail)


# --- Transitions of a worker that holds the lease ----------------------------------------------


def mark_prepared(
    row: Transcription,
    *,
    audio: str,
    format: str,
    duration: float,
    spans: Iterable[Span],
    waveform: Waveform,
    note: str,
    tracks: Sequence[dict[str, Any]] = (),
    is_opening: bool = False,
) -> None:
    """The audio, or the opening of it, is ready for an engine. Raises LeaseLost."""
    with transaction.atomic():
        _end_lease(
            row,
            state=State.PREPARED,
            audio=audio,
            format=format,
            duration=duration,
            note=note,
            tracks=list(tracks),
            **PROGRESS,
        )
        AudioAnalysis.store(row, spans, waveform, is_opening=is_opening)
        record_step(row, Phase.READY)


def replace_opening(
    row: Transcription,
    *,
    audio: str,
    duration: float,
    spans: Iterable[Span],
    waveform: Waveform,
    note: str,
) -> None:
    """All of the audio is ready, whose opening an engine has got before. Raises LeaseLost."""
    with transaction.atomic():
        lock_held(row)
        delete_after_commit(row.audio)
        update_held(row, audio=audio, duration=duration, note=note)
        AudioAnalysis.store(row, spans, waveform)


def assign_engine(row: Transcription, engine: str) -> None:
    """Usage from now on belongs to this engine. Raises LeaseLost."""
    if row.engine != engine:
        update_held(row, engine=engine, model="")


def mark_started(row: Transcription, engine: str, metadata: Metadata) -> None:
    """The engine has started on the audio, or on the rest of it. Raises LeaseLost."""
    with transaction.atomic():
        spoken_first = row.language if row.segments.exists() else metadata.language
        language = TRANSLATED if row.options.is_translation else spoken_first
        update_held(row, engine=engine, model=metadata.model, language=language)
        record_step(row, Phase.DECODE, f"{engine}: {metadata.model}")


def add_segments(row: Transcription, spoken: Sequence[SpokenSegment]) -> list[Segment]:
    """Store the next segments, renew the lease, and save the usage so far. Raises LeaseLost."""
    if row.attempts or row.interruptions:  # the first progress since a failure
        with transaction.atomic():
            update_held(row, **PROGRESS)
            segments = store_segments(row, spoken)
    else:
        segments = store_segments(row, spoken)
    row.unsaved_usage = UsageDelta(0.0)
    return segments


def mark_completed(row: Transcription, meter: Complete, note: str = "") -> None:
    """All segments are stored; `note` is a remark for the owner. Raises LeaseLost."""
    with transaction.atomic():
        lock_held(row)
        remark = carry_over_edits(row)
        copy_annotations(row)
        if not row.segments.exists():
            remark = _("No speech was found in this recording.")
        _end_lease(
            row,
            state=State.COMPLETED,
            completed_at=timezone.now(),
            languages=spoken_languages(row),
            note=" ".join(filter(None, (remark, note, row.note))),
            decode_seconds=F("decode_seconds") + meter.decode_seconds,
            speech_seconds=F("speech_seconds") + meter.audio_seconds,
        )
        _delete_prepared_audio(row)
        record_step(row, Phase.COMPLETED, at=row.completed_at)
        metering.take_unbilled_usage(row)  # the meter includes it
        metering.record_completed(row, meter)
        transcription_finished.send(Transcription, row=row)


def mark_failed(row: Transcription, code: str, message: str) -> None:
    """The recording cannot be transcribed; `message` is for the owner. Raises LeaseLost."""
    with transaction.atomic():
        _end_lease(
            row,
            state=State.FAILED,
            completed_at=timezone.now(),
            languages=spoken_languages(row),
            error_code=code,
            error_message=message,
        )
        _delete_prepared_audio(row)
        record_step(row, Phase.FAILED, code, at=row.completed_at)
        metering.record_failed(row, metering.take_unbilled_usage(row))
        transcription_finished.send(Transcription, row=row)


# --- Transitions by its owner ------------------------------------------------------------------


def mark_cancelled(row: Transcription) -> None:
    """Cancel for the owner; a worker that holds the lease loses it. Raises WrongState."""
    with transaction.atomic():
        _transition(
            row,
            Q(state__in=FINISHED),
            _("It has already finished. There is nothing to cancel."),
            state=State.CANCELLED,
            completed_at=timezone.now(),
            languages=spoken_languages(row),
            error_code="cancelled",
            error_message=_("The transcription was cancelled."),
            **NO_LEASE,
        )
        update_progress(row, lease_until=None)
        _delete_prepared_audio(row)
        record_step(row, Phase.CANCELLED, at=row.completed_at)
        metering.record_cancelled(row, metering.take_unbilled_usage(row))


def requeue(row: Transcription) -> None:
    """Continue after a failure or a cancellation. Stored segments are kept, the audio is prepared
    again.
    Raises WrongState, AudioDeleted."""
    with transaction.atomic():
        _lock(row)  # its audio may be deleted concurrently
        if row.state in UNSUCCESSFUL and not row.can_be_retried:
            message = _("The audio has been deleted. Upload the recording again.")
            raise AudioDeleted(message)
        _transition(
            row,
            ~Q(state__in=UNSUCCESSFUL),
            _("Only a failed or cancelled recording can be resumed."),
            state=State.QUEUED,
            completed_at=None,
            languages=[],
            error_code="",
            error_message="",
            request_id=current_request_id(),
            **PROGRESS,
        )
        record_step(row, Phase.QUEUE, "Resumed")


def _delete_prepared_audio(row: Transcription) -> None:
    """At the end of processing, on a row that this transaction has locked and read. Prepared audio
    is much larger than most uploads, and a retry can prepare it again. References of speakers are
    for this time only."""
    delete_after_commit(row.audio)
    Transcription.objects.filter(id=row.id).update(audio="")
    row.audio = ""
    if row.options.diarize:
        row.speaker_references.all().delete()


def cancel_before_delete(
    sender: type[Transcription], instance: Transcription, **kwargs: Any
) -> None:
    """Receiver of `pre_delete`: the worker stops at its next step, and the part processed is
    charged. The row is read again, so that its current files are deleted with it."""
    _lock(instance)
    with suppress(WrongState):
        mark_cancelled(instance)


def _lock(row: Transcription) -> None:
    """Lock the row until the transaction ends, and read it again. Do nothing if it was deleted."""
    with suppress(Transcription.DoesNotExist):
        row.refresh_from_db(from_queryset=Transcription.objects.select_for_update())


def _transition(row: Transcription, unless: Q, reason: str, **values: Any) -> None:
    """A change of state that needs no lease. Raises WrongState."""
    if not Transcription.objects.filter(id=row.id).exclude(unless).update(**values):
        raise WrongState(reason)
    row.refresh_from_db()


def _end_lease(
    row: Transcription, not_before: CombinedExpression | None = None, /, **values: Any
) -> None:
    """A change by the worker after which it no longer has the row. If it waits then, work on it
    starts no earlier than `not_before`. Raises LeaseLost."""
    update_held(row, **NO_LEASE, **values)
    update_progress(row, lease_until=not_before)


def update_held(row: Transcription, **values: Any) -> None:
    """Change fields of the row. Raises LeaseLost."""
    if not _held(row).update(**values):
        raise LeaseLost(str(row.id))
    row.refresh_from_db()


def update_progress(row: Transcription, **values: Any) -> None:
    """In a transaction that has locked the recording itself first: then none waits for another."""
    Progress.objects.filter(transcription=row).update(**values)


def lock_held(row: Transcription) -> None:
    """Raises LeaseLost. Until the transaction ends, the lease cannot be lost."""
    if not _held(row).select_for_update(no_key=True).values_list("id").first():
        raise LeaseLost(str(row.id))


def _held(row: Transcription) -> models.QuerySet[Transcription]:
    return Transcription.objects.filter(id=row.id, lease=row.lease, lease__isnull=False)


def _all_held(rows: Iterable[Transcription]) -> models.QuerySet[Transcription]:
    # A process may have two of one row, which it recovered from a thread that was stuck.
    own = [row for row in rows if row.lease]
    found = Transcription.objects.filter(id__in={row.id for row in own})
    return found.filter(lease__in={row.lease for row in own})


def requeue_restored() -> int:
    """Let unfinished recordings of a backup start again from their upload, and live sessions wait
    for a worker: their audio is in the database. Segments are kept. Return how many start again.
    Not all of these transitions are legal: their trigger must be disabled."""
    live = Transcription.objects.filter(priority=Priority.LIVE)
    live.filter(state__in=WORKING).update(state=State.PREPARED, **NO_LEASE)
    rows = Transcription.objects.exclude(priority=Priority.LIVE)
    rows = rows.exclude(state__in=[*FINISHED, State.QUEUED])
    unfinished = list(rows)
    Progress.objects.filter(transcription__in=unfinished).update(lease_until=None)
    rows.update(state=State.QUEUED, audio="", **NO_LEASE)
    for row in unfinished:
        record_step(row, Phase.QUEUE, "Restored from a backup")
    return len(unfinished)
