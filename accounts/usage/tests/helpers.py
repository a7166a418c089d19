"""Helpers for tests: writing the ledger, and truncating a table."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from accounts.models import Outcome, UsageRecord, User
from accounts.usage import ledger

MAY_4 = datetime(2026, 5, 4, 12, tzinfo=UTC)
ATTEMPT: dict[str, Any] = {
    "created_at": MAY_4,
    "engine": "modal",
    "audio_ms": 60_000,
    "decode_ms": 1200,
    "nano_usd_per_second": 275_000,
}


def record_usage(user: User, **fields: Any) -> UsageRecord:
    """Write a charged attempt, with `fields` in place of the defaults."""
    defaults: dict[str, Any] = {
        "transcription": uuid.uuid4(),
        "outcome": Outcome.COMPLETED,
        "billed": True,
        "reason": "A test.",
    }
    return ledger.write_record(UsageRecord(user=user, **defaults | fields))


def truncate(table: str) -> None:
    with connection.cursor() as cursor:
        # Postgres refuses to truncate a table that has deferred constraint checks pending.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"TRUNCATE {table} CASCADE")
