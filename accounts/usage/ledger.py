"""Writing the usage ledger and asking it about a month.

Each row and the sums of its day are written in the same transaction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from django.db import transaction
from django.db.models import F, QuerySet, Sum

from accounts.models.usage import MS_PER_SECOND, Outcome, UsageDay, UsageRecord

NANO_PER_MICRO = 1000


def correct(record: UsageRecord, reason: str) -> UsageRecord:
    """Refunds a charge: writes a row with its audio, negated. The engine's time and cost stay.
    `reason` is shown to the user.

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
    """Adds one row to the ledger and to the sums of its day, both or neither."""
    write_records([record])
    return record


@transaction.atomic
def write_records(records: Sequence[UsageRecord]) -> None:
    """Adds them to the ledger and to their days, all or none."""
    for record in records:
        record.cost_micro_usd = cost_micro_usd(record.decode_ms, record.nano_usd_per_second)
    UsageRecord.objects.bulk_create(records, batch_size=1000)
    sums: dict[tuple[date, int, int, str], Counter[str]] = defaultdict(Counter)
    for record in records:
        day = record.created_at.astimezone(UTC).date()
        sums[day, record.user_id, record.token_id or 0, record.engine].update(_amounts(record))
    # In one order, so that two who write at the same time never wait for each other.
    for (day, user_id, token_key, engine), amounts in sorted(sums.items(), key=lambda s: s[0]):
        row, _ = UsageDay.objects.get_or_create(
            day=day, user_id=user_id, token_key=token_key, engine=engine
        )
        more = {name: F(name) + amount for name, amount in amounts.items()}
        UsageDay.objects.filter(pk=row.pk).update(**more)


def _amounts(record: UsageRecord) -> dict[str, int]:
    """What it adds to its day."""
    return {
        "attempts": int(record.outcome not in (Outcome.CORRECTION, Outcome.INTERRUPTED)),
        "failures": int(record.outcome == Outcome.FAILED),
        "billed_ms": record.audio_ms if record.billed else 0,
        "decode_ms": record.decode_ms,
        "cold_starts": int(record.load_ms > 0),
        "cost_micro_usd": record.cost_micro_usd,
    }


def cost_micro_usd(decode_ms: int, nano_usd_per_second: int) -> int:
    """Whole micro-dollars, halves rounded up."""
    divisor = MS_PER_SECOND * NANO_PER_MICRO
    return (2 * decode_ms * nano_usd_per_second + divisor) // (2 * divisor)


def month_of(moment: datetime) -> tuple[date, date]:
    """The first days of its calendar month and of the next, in UTC."""
    first = moment.astimezone(UTC).date().replace(day=1)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first, following


def days_of_month(user_id: int, moment: datetime) -> QuerySet[UsageDay]:
    """The days of that month on which the user used something."""
    first, following = month_of(moment)
    return UsageDay.objects.filter(user_id=user_id, day__gte=first, day__lt=following)


def records_of_month(user_id: int, moment: datetime) -> QuerySet[UsageRecord]:
    """What was written of the user in that month, newest first."""
    first, following = (datetime.combine(day, time(), UTC) for day in month_of(moment))
    return UsageRecord.objects.filter(
        user_id=user_id, created_at__gte=first, created_at__lt=following
    )


def recordings_of_month(user_id: int, moment: datetime) -> QuerySet[UsageRecord]:
    """What was written in that month about work on the user's recordings."""
    return records_of_month(user_id, moment).exclude(outcome=Outcome.CORRECTION)


def billed_ms(user_id: int, moment: datetime, token_id: int | None = None) -> int:
    """What counts against the quota of that month: of the user, or of one token. Below zero while
    more was given back, for earlier months, than was used since."""
    days = days_of_month(user_id, moment)
    if token_id is not None:
        days = days.filter(token_key=token_id)
    return int(days.aggregate(sum=Sum("billed_ms"))["sum"] or 0)
