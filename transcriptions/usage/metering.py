"""What an attempt is worth, as a row of the ledger. Called in the transaction that ends it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet, Sum

from accounts.models import Outcome, UsageRecord
from accounts.usage import ledger
from gpu import pricing
from gpu.types import Complete, Spent
from transcriptions.models import Transcription
from transcriptions.signals import usage_charged

log = logging.getLogger(__name__)


def record_completed(row: Transcription, meter: Complete) -> None:
    """All of the recording is charged, but for what was charged of it before; and nothing if
    there is not a word in it."""
    empty = not row.segments.exists()
    reason = "No speech in it: not charged." if empty else "The transcript is complete."
    record = _record(row, Outcome.COMPLETED, reason)
    record.audio_ms = 0 if empty else due_ms(row, row.duration or 0.0)
    record.billed = not empty
    _charge(row, _price(record, meter))


def record_failed(row: Transcription, used: Spent) -> None:
    """A failure is never charged, but what it used is known."""
    record = _record(row, Outcome.FAILED, f"It failed ({row.error_code}): not charged.")
    ledger.write_record(_price(record, used))


def record_interrupted(row: Transcription, used: Spent) -> None:
    """Somebody else ended it, or will go on with it: what was used until then, to nobody's
    charge."""
    if used:
        record = _record(row, Outcome.INTERRUPTED, "Broken off: what it had used until then.")
        ledger.write_record(_price(record, used))


def record_cancelled(row: Transcription, used: Spent) -> None:
    """Charged as far as there are words to be read: nothing, if it had not begun."""
    last = row.segments.last()
    heard = due_ms(row, last.end if last else 0.0)
    reason = "Cancelled: charged as far as it came." if heard else "Cancelled: not charged."
    record = _record(row, Outcome.CANCELLED, reason)
    record.audio_ms, record.billed = heard, heard > 0
    _charge(row, _price(record, used))


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


def _price(record: UsageRecord, used: Complete | Spent) -> UsageRecord:
    """With the engine's time, and what a second of it costs just now."""
    price = pricing.usd_per_second(used.gpu) if used.gpu else 0.0
    if price is None:
        log.warning(
            "%s: no price is known for the GPU %s, so it is written down as free: "
            "set MODAL_USD_PER_GPU_SECOND",
            record.transcription,
            used.gpu,
        )
        record.reason += f" Without the GPU's price, which is not known ({used.gpu})."
    record.gpu_type = used.gpu
    record.decode_ms = _ms(used.decode_seconds)
    record.queue_ms, record.load_ms = _ms(used.queue_seconds), _ms(used.load_seconds)
    record.nano_usd_per_second = round((price or 0.0) * 1e9)
    return record


def due_ms(row: Transcription, seconds: float) -> int:
    """What its first `seconds` will be charged, in ms: less what was charged before."""
    return max(0, _ms(seconds) - charged_ms([row.id]))


def charged_ms(ids: Iterable[uuid.UUID] | QuerySet[Any]) -> int:
    """What attempts at these recordings were charged until now, and not given back."""
    rows = UsageRecord.objects.filter(transcription__in=ids, billed=True)
    return int(rows.aggregate(sum=Sum("audio_ms"))["sum"] or 0)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
