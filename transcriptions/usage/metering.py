"""Usage of an attempt as a row of the ledger, written in the transaction that ends the attempt.

`reason` is shown to the owner and stored, so it is written in the language of the installation.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Outcome, UsageRecord
from accounts.usage import ledger
from gpu import pricing
from gpu.types import Complete, UsageDelta
from transcriptions import metrics
from transcriptions.models import Progress, Transcription
from transcriptions.signals import usage_charged

log = logging.getLogger(__name__)


def take_unbilled_usage(row: Transcription) -> UsageDelta:
    """Returns and clears the usage that no ledger row contains yet. The caller must record it in
    the same transaction."""
    saved = Progress.objects.get(transcription=row)  # its recording is locked
    usage = row.unsaved_usage + UsageDelta(
        saved.unbilled_decode_seconds,
        saved.unbilled_gpu,
        saved.unbilled_queue_seconds,
        saved.unbilled_load_seconds,
    )
    row.unsaved_usage = UsageDelta(0.0)
    if usage:
        Progress.objects.filter(transcription=row).update(
            unbilled_decode_seconds=0,
            unbilled_gpu="",
            unbilled_queue_seconds=0,
            unbilled_load_seconds=0,
        )
    return usage


def record_completed(row: Transcription, meter: Complete) -> None:
    """Charge the whole duration, less what was charged for earlier attempts; nothing if the
    transcript is empty."""
    empty = not row.segments.exists()
    reason = _("No speech found. Not charged.") if empty else _("Completed.")
    record = _record(row, Outcome.COMPLETED, reason)
    record.audio_ms = 0 if empty else due_ms(row, row.duration or 0.0)
    record.billed = not empty
    record.uncharged_ms = _uncharged_change(row, _ms(row.duration or 0.0) if empty else 0)
    _charge(row, _with_engine_usage(record, meter))
    if meter.audio_seconds:
        metrics.real_time_factor.labels(row.engine).observe(meter.real_time_factor)


def record_failed(row: Transcription, used: UsageDelta) -> None:
    """Records the usage of a failed attempt. Failures are never charged."""
    reason = _("Failed (%(code)s). Not charged.") % {"code": row.error_code}
    ledger.write_record(_with_engine_usage(_record(row, Outcome.FAILED, reason), used))


def record_refused(row: Transcription) -> None:
    """Charges up to the end of the last segment of a recording that is not what it declared."""
    if due := due_ms(row, row.segments.values_list("end", flat=True).last() or 0.0):
        reason = _("Stopped because it exceeds a limit. Charged for the part processed.")
        record = _record(row, Outcome.FAILED, reason)
        record.audio_ms, record.billed = due, True
        _charge(row, record)


def record_interrupted(row: Transcription, used: UsageDelta) -> None:
    """Records the usage of a worker before it lost or returned the lease. It is not charged: the
    row of the attempt that ends the job is."""
    if used:
        record = _record(row, Outcome.INTERRUPTED, _("Interrupted. Not charged."))
        ledger.write_record(_with_engine_usage(record, used))


def record_cancelled(row: Transcription, used: UsageDelta) -> None:
    """Charges up to the end of the last segment; nothing if there is none. The rest was prepared
    without a charge, unless preparation had not ended."""
    due = due_ms(row, row.segments.values_list("end", flat=True).last() or 0.0)
    if due:
        reason = _("Cancelled. Charged for the part processed.")
    else:
        reason = _("Cancelled. Not charged.")
    record = _record(row, Outcome.CANCELLED, reason)
    record.audio_ms, record.billed = due, due > 0
    rest = max(0, due_ms(row, row.duration or 0.0) - due)
    record.uncharged_ms = _uncharged_change(row, rest)
    _charge(row, _with_engine_usage(record, used))


def record_speakers(row: Transcription, used: UsageDelta, reason: str) -> None:
    """Records the usage of speaker detection in a completed recording: time of the CPU, or of a GPU
    that is paid by the second. It is not charged."""
    _record_diarizer(row, used, reason, settings.DIARIZER)


def record_voices(row: Transcription, seconds: float, reason: str) -> None:
    """Records the time of the CPU that it took to listen to voices. The embedded diarizer does it,
    whichever detects the speakers. It is not charged."""
    _record_diarizer(row, UsageDelta(seconds), reason, "embedded")


def _record_diarizer(row: Transcription, used: UsageDelta, reason: str, model: str) -> None:
    if used:
        record = _record(row, Outcome.SPEAKERS, reason)
        record.engine, record.model = "diarizer", model
        ledger.write_record(_with_engine_usage(record, used))


def _charge(row: Transcription, record: UsageRecord) -> None:
    ledger.write_record(record)
    if record.billed:
        usage_charged.send(UsageRecord, owner=row.owner)


def _record(row: Transcription, outcome: Outcome, reason: str) -> UsageRecord:
    return UsageRecord(
        user_id=row.owner_id,
        token_id=row.token_id,
        transcription=row.id,
        outcome=outcome,
        engine=row.engine,
        model=row.model,
        reason=reason,
    )


def _with_engine_usage(record: UsageRecord, used: Complete | UsageDelta) -> UsageRecord:
    """Sets the engine's times, and the current price of a GPU second."""
    price = pricing.usd_per_second(used.gpu) if used.gpu else 0.0
    if price is None:
        log.warning(
            "%s: no price is known for the GPU %s, recording it as 0: set MODAL_USD_PER_GPU_SECOND",
            record.transcription,
            used.gpu,
        )
        note = _("The price of the GPU (%(gpu)s) is unknown and not included.")
        record.reason += " " + note % {"gpu": used.gpu}
    record.gpu_type = used.gpu
    record.decode_ms = _ms(used.decode_seconds)
    record.queue_ms, record.load_ms = _ms(used.queue_seconds), _ms(used.load_seconds)
    record.nano_usd_per_second = round((price or 0.0) * 1e9)
    transaction.on_commit(partial(metrics.count_attempt, record), robust=True)
    return record


def due_ms(row: Transcription, seconds: float) -> int:
    """Milliseconds to charge for the first `seconds` of a recording, less what was charged
    already."""
    return max(0, _ms(seconds) - charged_ms([row.id]))


def uncharged_ms(row: Transcription) -> int:
    """Milliseconds of this recording that count as processed without a charge this month."""
    return ledger.uncharged_ms(row.owner_id, timezone.now(), row.id)


def _uncharged_change(row: Transcription, rest_ms: int) -> int:
    """What makes the ledger's rows of this recording add up to `rest_ms`. It is negative if a part
    that counted as uncharged has been charged since."""
    return rest_ms - uncharged_ms(row)


def charged_ms(transcription_ids: Iterable[uuid.UUID] | QuerySet[Any]) -> int:
    """Milliseconds charged for all attempts at these recordings, less refunds."""
    rows = UsageRecord.objects.filter(transcription__in=transcription_ids, billed=True)
    return int(rows.aggregate(sum=Sum("audio_ms"))["sum"] or 0)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
