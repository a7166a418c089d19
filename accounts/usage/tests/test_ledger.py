"""The ledger: costs, daily sums, months, and rows that are never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.db.models import F, Sum
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Outcome, UsageDay, UsageRecord, User
from accounts.tokens import issue_token
from accounts.usage import ledger
from accounts.usage.rebuild import rebuild
from accounts.usage.tests.helpers import record_usage, truncate

MAX = 10**9


def test_cost_is_rounded_half_up() -> None:
    assert ledger.cost_micro_usd(1000, 275_000) == 275  # one second of an L4
    assert ledger.cost_micro_usd(1, 275_000) == 0
    assert ledger.cost_micro_usd(2, 250_000) == 1  # half a micro-dollar
    assert ledger.cost_micro_usd(0, 275_000) == 0


@given(st.integers(0, MAX), st.integers(0, MAX))
def test_cost_equals_exact_decimal_arithmetic(ms: int, nano: int) -> None:
    exact = Decimal(ms) * Decimal(nano) / Decimal(1_000_000)
    assert ledger.cost_micro_usd(ms, nano) == int(exact.to_integral_value(ROUND_HALF_UP))


ROWS = st.lists(
    st.tuples(
        st.integers(0, MAX),  # audio_ms
        st.integers(0, MAX),  # decode_ms
        st.integers(0, MAX),  # nano_usd_per_second
        st.sampled_from(["", "whisper", "modal"]),
        st.booleans(),  # billed
        st.booleans(),  # refunded
        st.sampled_from([Outcome.COMPLETED, Outcome.FAILED, Outcome.INTERRUPTED]),
        st.datetimes(datetime(2026, 1, 30), datetime(2026, 3, 2)),
    ),
    max_size=8,
)


def all_days() -> list[dict[str, Any]]:
    days = UsageDay.objects.order_by("day", "engine").values()
    return [{name: value for name, value in day.items() if name != "id"} for day in days]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS)
def test_daily_sums_agree_with_the_ledger_and_rebuild_restores_them(
    alice: User, rows: Sequence[Any]
) -> None:
    with transaction.atomic():
        for audio, decode, nano, engine, billed, refunded, outcome, moment in rows:
            row = record_usage(
                alice,
                audio_ms=audio,
                decode_ms=decode,
                nano_usd_per_second=nano,
                engine=engine,
                outcome=outcome,
                load_ms=decode % 2,
                billed=billed,
                created_at=moment.replace(tzinfo=UTC),
            )
            if refunded:
                ledger.correct(row, "A mistake.")
        days = UsageDay.objects.aggregate(
            attempts=Sum("attempts"), ms=Sum("billed_ms"), cost=Sum("cost_micro_usd")
        )
        billed_rows = UsageRecord.objects.filter(billed=True).aggregate(ms=Sum("audio_ms"))
        costs = UsageRecord.objects.aggregate(cost=Sum("cost_micro_usd"))
        attempts = [row for row in rows if row[6] != Outcome.INTERRUPTED]
        assert (days["attempts"] or 0) == len(attempts)
        assert (days["ms"] or 0) == (billed_rows["ms"] or 0)
        assert (days["cost"] or 0) == (costs["cost"] or 0)
        charged = [row for row in rows if row[4] and not row[5]]
        assert (days["ms"] or 0) == sum(row[0] for row in charged)
        assert rebuild() == (0, 0)
        before = all_days()
        UsageDay.objects.filter(engine="modal").update(billed_ms=F("billed_ms") + 1, attempts=0)
        UsageDay.objects.filter(engine="whisper").delete()
        UsageDay.objects.create(user=alice, day=date(2026, 1, 1), billed_ms=5)
        rebuild()
        assert all_days() == before
        transaction.set_rollback(True)


def test_ledger_is_append_only(alice: User) -> None:
    row = record_usage(alice, audio_ms=1000)
    for change in (
        lambda: UsageRecord.objects.update(audio_ms=0),
        lambda: UsageRecord.objects.all().delete(),
        lambda: UsageRecord.objects.filter(pk=row.pk).update(reason="Another."),
        lambda: truncate("accounts_usagerecord"),
    ):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
            change()
    assert UsageRecord.objects.get().audio_ms == 1000


def test_ledger_outlives_the_account_and_the_token(alice: User) -> None:
    token, _ = issue_token(alice)
    record_usage(alice, token=token, audio_ms=1000)
    user_id = alice.pk
    token.delete()
    alice.delete()
    row = UsageRecord.objects.get()
    assert (row.user_id, row.audio_ms) == (user_id, 1000)
    assert ledger.billed_ms(user_id, timezone.now()) == 1000


@pytest.mark.parametrize(
    ("moment", "first", "following"),
    [
        (datetime(2026, 1, 31, 23, 59, tzinfo=UTC), date(2026, 1, 1), date(2026, 2, 1)),
        (datetime(2026, 12, 1, tzinfo=UTC), date(2026, 12, 1), date(2027, 1, 1)),
        (datetime(2024, 2, 29, 12, tzinfo=UTC), date(2024, 2, 1), date(2024, 3, 1)),
    ],
)
def test_month_bounds_are_calendar_months_in_utc(
    moment: datetime, first: date, following: date
) -> None:
    assert ledger.month_bounds(moment) == (first, following)
