"""Write the usage ledger, and query its sums by month.

A row and the sums of its day are written in one transaction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet, Sum

from accounts.models.usage import MS_PER_SECOND, NO_ATTEMPTS, Outcome, UsageDay, UsageRecord

NANO_PER_MICRO = 1000


def correct(record: UsageRecord, reason: str) -> UsageRecord:
    """Refund a charge: write a row with its audio negated. Engine time and cost remain. `reason` is
    shown to the user.

    Raises IntegrityError if the charge was refunded already.
    """
    return write_record(
        UsageRecord(
            user_id=record.user_id,
            token_id=record.token_id,
            transcription=record.transcription,
            outcome=Outcome.CORRECTION,
            engine=record.engine,
            model=record.model,
            gpu_type=record.gpu_type,
            audio_ms=-record.audio_ms,
            billed=record.billed,
            reason=reason,
            corrects=record,
        )
    )


def write_record(record: UsageRecord) -> UsageRecord:
    """Add one row to the ledger and to the sums of its day, in one transaction."""
    write_records([record])
    return record


@transaction.atomic
def write_records(records: Sequence[UsageRecord]) -> None:
    """Add rows to the ledger and to the sums of their days, in one transaction."""
    for record in records:
        record.cost_micro_usd = cost_micro_usd(record.decode_ms, record.nano_usd_per_second)
    UsageRecord.objects.bulk_create(records, batch_size=1000)
    sums: dict[tuple[date, int, int, str], Counter[str]] = defaultdict(Counter)
    for record in records:
        day = record.created_at.astimezone(UTC).date()
        sums[day, record.user_id, record.token_id or 0, record.engine].update(_amounts(record))
    # Always in the same order, so that concurrent transactions cannot deadlock.
    for (day, user_id, token_key, engine), amounts in sorted(sums.items(), key=lambda s: s[0]):
        row, _ = UsageDay.objects.get_or_create(
            day=day, user_id=user_id, token_key=token_key, engine=engine
        )
        increments = {name: F(name) + amount for name, amount in amounts.items()}
        UsageDay.objects.filter(pk=row.pk).update(**increments)


def _amounts(record: UsageRecord) -> dict[str, int]:
    """What a row adds to the sums of its day. `rebuild` has the same in SQL."""
    return {
        "attempts": int(record.outcome not in NO_ATTEMPTS),
        "failures": int(record.outcome == Outcome.FAILED),
        "billed_ms": record.audio_ms if record.billed else 0,
        "decode_ms": record.decode_ms,
        "cold_starts": int(record.load_ms > 0),
        "cost_micro_usd": record.cost_micro_usd,
    }


def cost_micro_usd(decode_ms: int, nano_usd_per_second: int) -> int:
    """Cost in whole micro-dollars, rounded half up."""
    divisor = MS_PER_SECOND * NANO_PER_MICRO
    return (2 * decode_ms * nano_usd_per_second + divisor) // (2 * divisor)


def month_bounds(moment: datetime) -> tuple[date, date]:
    """The first days of the calendar month of `moment` and of the next month, in UTC."""
    first = moment.astimezone(UTC).date().replace(day=1)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first, following


def days_of_month(user_id: int, moment: datetime) -> QuerySet[UsageDay]:
    """The daily sums of the user in the month of `moment`."""
    first, following = month_bounds(moment)
    return UsageDay.objects.filter(user_id=user_id, day__gte=first, day__lt=following)


def records_of_month(user_id: int, moment: datetime) -> QuerySet[UsageRecord]:
    """The user's rows of the ledger in the month of `moment`, newest first."""
    first, following = (datetime.combine(day, time(), UTC) for day in month_bounds(moment))
    return UsageRecord.objects.filter(
        user_id=user_id, created_at__gte=first, created_at__lt=following
    )


def attempts_of_month(user_id: int, moment: datetime) -> QuerySet[UsageRecord]:
    """The same without corrections and speaker detection: one row for each attempt."""
    others = (Outcome.CORRECTION, Outcome.SPEAKERS)
    return records_of_month(user_id, moment).exclude(outcome__in=others)


def uncharged_ms(user_id: int, moment: datetime, transcription_id: UUID | None = None) -> int:
    """Milliseconds processed without a charge in the month of `moment`, of all recordings or of
    one."""
    records = records_of_month(user_id, moment)
    if transcription_id is not None:
        records = records.filter(transcription=transcription_id)
    return int(records.aggregate(sum=Sum("uncharged_ms"))["sum"] or 0)


def billed_ms(user_id: int, moment: datetime, token_id: int | None = None) -> int:
    """Milliseconds charged in the month of `moment`, of the user or of one token.

    Negative if refunds for earlier months exceed the usage of this month.
    """
    days = days_of_month(user_id, moment)
    if token_id is not None:
        days = days.filter(token_key=token_id)
    return int(days.aggregate(sum=Sum("billed_ms"))["sum"] or 0)
