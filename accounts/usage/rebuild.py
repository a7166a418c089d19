"""The days of the usage, added up anew from the ledger, which is the truth."""

from __future__ import annotations

from django.db import connection, transaction

# Who writes adds a row to the ledger, then to a day, in one transaction: whoever has begun that is
# waited for, and the next ones wait until this is through. To read goes on meanwhile.
LOCK = "LOCK TABLE accounts_usagerecord, accounts_usageday IN SHARE ROW EXCLUSIVE MODE"
COLUMNS = (
    "day, user_id, token_key, engine, "
    "attempts, failures, billed_ms, decode_ms, cold_starts, cost_micro_usd"
)
# What ledger._amounts says of one row, of all of them.
SUMS = """
CREATE TEMPORARY TABLE added_up AS
SELECT (created_at AT TIME ZONE 'UTC')::date AS day, user_id, coalesce(token_id, 0) AS token_key,
    engine,
    count(*) FILTER (WHERE outcome NOT IN ('correction', 'interrupted')) AS attempts,
    count(*) FILTER (WHERE outcome = 'failed') AS failures,
    coalesce(sum(audio_ms) FILTER (WHERE billed), 0)::bigint AS billed_ms,
    sum(decode_ms)::bigint AS decode_ms,
    count(*) FILTER (WHERE load_ms > 0) AS cold_starts,
    sum(cost_micro_usd)::bigint AS cost_micro_usd
FROM accounts_usagerecord GROUP BY 1, 2, 3, 4
"""
SURPLUS = f"""
DELETE FROM accounts_usageday WHERE id IN (
    SELECT id FROM accounts_usageday LEFT JOIN added_up USING ({COLUMNS})
    WHERE added_up.user_id IS NULL)
"""  # noqa: S608 - constants
MISSING = f"""
INSERT INTO accounts_usageday ({COLUMNS})
SELECT {COLUMNS} FROM added_up EXCEPT SELECT {COLUMNS} FROM accounts_usageday
"""  # noqa: S608 - constants


@transaction.atomic
def rebuild() -> tuple[int, int]:
    """Makes the days agree with the ledger. Returns how many rows were wrong, and how many had to
    be written; both are 0 when nothing had to be done."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute(SUMS)
        cursor.execute(SURPLUS)
        wrong = cursor.rowcount
        cursor.execute(MISSING)
        written = cursor.rowcount
        cursor.execute("DROP TABLE added_up")
        return wrong, written
