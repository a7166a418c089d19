"""Whether the daily sums agree with the ledger."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from django.db import connection

from accounts.usage.rebuild import COLUMNS, SUMS

# One statement sees one snapshot: a row and the sums of its day are written together.
WRONG = f"""
WITH expected AS (SELECT {COLUMNS} FROM ({SUMS.format(where="WHERE created_at >= %s")}) AS sums),
    stored AS (SELECT {COLUMNS} FROM accounts_usageday WHERE day >= %s)
SELECT count(DISTINCT (day, user_id, token_key, engine)) FROM (
    (TABLE expected EXCEPT TABLE stored) UNION ALL (TABLE stored EXCEPT TABLE expected)
) AS wrong
"""  # noqa: S608 - constants


def wrong_days(since: date) -> int:
    """How many daily sums from this day on differ from the ledger, or are missing. `rebuild`
    corrects them."""
    with connection.cursor() as cursor:
        cursor.execute(WRONG, [datetime.combine(since, time.min, UTC), since])
        return int(cursor.fetchone()[0])
