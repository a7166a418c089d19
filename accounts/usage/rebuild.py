"""Recompute the daily sums from the ledger."""

from __future__ import annotations

from django.db import connection, transaction

# Writers add to the ledger and to the daily sums in one transaction. This lock waits for those that
# have started and blocks new ones until the end of the transaction; reads are not blocked.
LOCK = "LOCK TABLE accounts_usagerecord, accounts_usageday IN SHARE ROW EXCLUSIVE MODE"
COLUMNS = (
    "day, user_id, token_key, engine, "
    "attempts, failures, billed_ms, decode_ms, cold_starts, cost_micro_usd"
)
# The sums of `ledger._amounts` over all rows.
SUMS = """
SELECT (created_at AT TIME ZONE 'UTC')::date AS day, user_id, coalesce(token_id, 0) AS token_key,
    engine,
    count(*) FILTER (WHERE outcome NOT IN ('correction', 'interrupted', 'speakers')) AS attempts,
    count(*) FILTER (WHERE outcome = 'failed') AS failures,
    coalesce(sum(audio_ms) FILTER (WHERE billed), 0)::bigint AS billed_ms,
    sum(decode_ms)::bigint AS decode_ms,
    count(*) FILTER (WHERE load_ms > 0) AS cold_starts,
    sum(cost_micro_usd)::bigint AS cost_micro_usd
FROM accounts_usagerecord {where} GROUP BY 1, 2, 3, 4
"""
EXPECTED = f"CREATE TEMPORARY TABLE expected AS {SUMS.format(where='')}"
DELETE_WRONG = f"""
DELETE FROM accounts_usageday WHERE id IN (
    SELECT id FROM accounts_usageday LEFT JOIN expected USING ({COLUMNS})
    WHERE expected.user_id IS NULL)
"""  # noqa: S608 - constants
INSERT_MISSING = f"""
INSERT INTO accounts_usageday ({COLUMNS})
SELECT {COLUMNS} FROM expected EXCEPT SELECT {COLUMNS} FROM accounts_usageday
"""  # noqa: S608 - constants
COUNT_DIFFERENT = f"""
SELECT count(*) FROM (
    (SELECT {COLUMNS} FROM expected EXCEPT SELECT {COLUMNS} FROM accounts_usageday)
    UNION ALL
    (SELECT {COLUMNS} FROM accounts_usageday EXCEPT SELECT {COLUMNS} FROM expected)
) AS different
"""  # noqa: S608 - constants


def count_differences() -> int:
    """How many daily sums are wrong or missing. Changes nothing, and blocks no one."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Both tables as they were at the same moment.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute(EXPECTED)
        cursor.execute(COUNT_DIFFERENT)
        (different,) = cursor.fetchone()
        cursor.execute("DROP TABLE expected")
        return int(different)


@transaction.atomic
def rebuild() -> tuple[int, int]:
    """Make the daily sums agree with the ledger. Return how many rows were wrong and deleted, and
    how many were missing and written."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute(EXPECTED)
        cursor.execute(DELETE_WRONG)
        wrong = cursor.rowcount
        cursor.execute(INSERT_MISSING)
        written = cursor.rowcount
        cursor.execute("DROP TABLE expected")
        return wrong, written
