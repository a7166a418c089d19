"""The ledger only grows, adds up to the micro-dollar, and outlives what it speaks of."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Sum
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import ledger
from accounts.ledger import Outcome, UsageDay, UsageRecord
from accounts.models import ApiToken, Plan, User
from accounts.rebuilding import rebuild

BIG = 10**9


def record(user: User, **fields: Any) -> UsageRecord:
    values: dict[str, Any] = {"outcome": Outcome.COMPLETED, "billed": True, "reason": "A test."}
    values |= {"transcription": uuid.uuid4()}
    return UsageRecord(user=user, **values | fields).write()


def test_a_price_is_rounded_once_and_halves_up() -> None:
    assert ledger.cost_micro_usd(1000, 275_000) == 275  # an L4 for a second
    assert ledger.cost_micro_usd(1, 275_000) == 0
    assert ledger.cost_micro_usd(2, 250_000) == 1  # half a micro-dollar
    assert ledger.cost_micro_usd(0, 275_000) == 0


@given(st.integers(0, BIG), st.integers(0, BIG))
def test_it_is_what_exact_arithmetic_says(ms: int, nano: int) -> None:
    exact = Decimal(ms) * Decimal(nano) / Decimal(1_000_000)
    assert ledger.cost_micro_usd(ms, nano) == int(exact.to_integral_value(ROUND_HALF_UP))


ROWS = st.lists(
    st.tuples(
        st.integers(0, BIG),  # audio
        st.integers(0, BIG),  # decoding
        st.integers(0, BIG),  # price
        st.sampled_from(["", "whisper", "modal"]),
        st.booleans(),
        st.booleans(),  # is it taken back?
        st.sampled_from([Outcome.COMPLETED, Outcome.FAILED, Outcome.INTERRUPTED]),
        st.datetimes(datetime(2026, 1, 30), datetime(2026, 3, 2)),
    ),
    max_size=8,
)


def days_of_all() -> list[dict[str, Any]]:
    days = UsageDay.objects.order_by("day", "engine").values()
    return [{name: value for name, value in day.items() if name != "id"} for day in days]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS)
def test_days_are_the_sum_of_their_rows(alice: User, rows: Sequence[Any]) -> None:
    with transaction.atomic():
        for audio, decode, nano, engine, billed, taken_back, outcome, moment in rows:
            row = record(
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
            if taken_back:
                row.correct("A mistake.")
        days = UsageDay.objects.aggregate(
            attempts=Sum("attempts"), ms=Sum("billed_ms"), cost=Sum("cost_micro_usd")
        )
        whole = UsageRecord.objects.filter(billed=True).aggregate(ms=Sum("audio_ms"))
        costs = UsageRecord.objects.aggregate(cost=Sum("cost_micro_usd"))
        attempts = [row for row in rows if row[6] != Outcome.INTERRUPTED]
        assert (days["attempts"] or 0) == len(attempts)
        assert (days["ms"] or 0) == (whole["ms"] or 0)
        assert (days["cost"] or 0) == (costs["cost"] or 0)
        kept = [row for row in rows if row[4] and not row[5]]
        assert (days["ms"] or 0) == sum(row[0] for row in kept)
        assert rebuild() == (0, 0)
        as_written = days_of_all()
        UsageDay.objects.filter(engine="modal").update(billed_ms=F("billed_ms") + 1, attempts=0)
        UsageDay.objects.filter(engine="whisper").delete()
        UsageDay.objects.create(user=alice, day=date(2026, 1, 1), billed_ms=5)
        rebuild()
        assert days_of_all() == as_written
        transaction.set_rollback(True)


def truncate(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SET CONSTRAINTS ALL IMMEDIATE"
        )  # a table with checks to come is not emptied
        cursor.execute(f"TRUNCATE {table} CASCADE")


def test_nothing_is_changed_or_taken_away(alice: User) -> None:
    row = record(alice, audio_ms=1000)
    for change in (
        lambda: UsageRecord.objects.update(audio_ms=0),
        lambda: UsageRecord.objects.all().delete(),
        lambda: UsageRecord.objects.filter(pk=row.pk).update(reason="Another."),
        lambda: truncate("accounts_usagerecord"),
    ):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
            change()
    assert UsageRecord.objects.get().audio_ms == 1000


def test_it_outlives_the_account_and_the_token(alice: User) -> None:
    token, _ = ApiToken.issue(alice)
    record(alice, token=token, audio_ms=1000)
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
def test_months_are_those_of_the_calendar(moment: datetime, first: date, following: date) -> None:
    assert ledger.month_of(moment) == (first, following)


# --- What its owner is told ---------------------------------------------------------------------


@pytest.fixture
def used(alice: User) -> User:
    alice.plan = Plan.objects.create(name="Small", monthly_minutes=10)
    alice.save()
    record(alice, audio_ms=90_500)
    record(alice, audio_ms=30_000)
    record(alice, outcome=Outcome.FAILED, billed=False, audio_ms=0)
    record(alice, audio_ms=600_000, created_at=datetime(2020, 1, 1, tzinfo=UTC))
    return alice


def test_usage_over_rest(used: User, bob: User, token_of: Any) -> None:
    answer = Client(headers=token_of(used)).get("/api/usage")
    body = answer.json()
    assert (body["plan"], body["audio_seconds"], body["jobs"]) == ("Small", 120.5, 3)
    assert (body["quota_seconds"], body["remaining_seconds"]) == (600.0, 479.5)
    today = timezone.now().date()
    assert body["period_start"] == today.replace(day=1).isoformat()
    assert body["renews_on"] > today.isoformat()
    assert body["days"] == [{"date": today.isoformat(), "audio_seconds": 120.5, "jobs": 3}]
    theirs = Client(headers=token_of(bob)).get("/api/usage").json()
    assert (theirs["audio_seconds"], theirs["quota_seconds"], theirs["days"]) == (0, None, [])


def test_a_recording_counts_once_however_often_it_was_tried(alice: User, token_of: Any) -> None:
    row = record(alice, outcome=Outcome.FAILED, billed=False)
    for outcome in (Outcome.INTERRUPTED, Outcome.COMPLETED):
        record(alice, transcription=row.transcription, outcome=outcome)
    UsageRecord.objects.get(outcome=Outcome.COMPLETED).correct("A mistake.")
    usage = Client(headers=token_of(alice)).get("/api/usage").json()
    assert (usage["jobs"], usage["days"][0]["jobs"]) == (1, 1)


def test_what_is_left_is_exact(alice: User, token_of: Any) -> None:
    alice.plan = Plan.objects.create(name="Small", monthly_minutes=1)
    alice.save()
    record(alice, audio_ms=43_806)
    usage = Client(headers=token_of(alice)).get("/api/usage").json()
    assert (usage["audio_seconds"], usage["remaining_seconds"]) == (43.806, 16.194)


def test_what_was_given_back_for_an_earlier_month_is_never_less_than_nothing_used(
    used: User, client: Client, token_of: Any
) -> None:
    UsageRecord.objects.get(created_at__year=2020).correct("A mistake.")
    usage = Client(headers=token_of(used)).get("/api/usage").json()
    assert (usage["audio_seconds"], usage["remaining_seconds"]) == (0, 600)
    assert [day["audio_seconds"] for day in usage["days"]] == [0]
    client.force_login(used)
    page = client.get("/settings/usage/").content.decode()
    assert "10:00 left" in page
    assert "-" not in "".join(re.findall(r'(?:value|max)="([^"]*)"', page))


def test_usage_needs_its_own_scope(used: User) -> None:
    for scopes, status in ((["usage:read"], 200), (["transcriptions:read"], 403)):
        _, secret = ApiToken.issue(used, scopes=scopes)
        client = Client(headers={"Authorization": f"Bearer {secret}"})
        assert client.get("/api/usage").status_code == status


def test_usage_on_the_page(used: User, client: Client) -> None:
    client.force_login(used)
    page = client.get("/settings/usage/").content.decode()
    for words in ("2:00", "of 10:00 used", "7:59 left", "Small", "3 recordings"):
        assert words in page, words


def test_a_refund_in_the_admin_takes_back_what_was_charged_once(
    used: User, carol: User, client: Client
) -> None:
    client.force_login(carol)
    rows = UsageRecord.objects.filter(audio_ms=90_500).values_list("pk", flat=True)
    form = {"action": "refund", "_selected_action": list(rows)}
    for _ in range(2):
        assert client.post("/admin/accounts/usagerecord/", form).status_code == 302
    assert ledger.billed_ms(used.pk, timezone.now()) == 30_000
    correction = UsageRecord.objects.get(outcome=Outcome.CORRECTION)
    assert correction.reason == "Refunded by carol@example.com."
