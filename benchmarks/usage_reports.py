"""Measure the usage reports with a large ledger: python -m benchmarks.usage_reports

The ledger has a million rows of a thousand accounts over a year, in a temporary embedded Postgres.
Measure the response time of each page and the time to write one row. The result is written to
benchmarks/results/usage-reports.json.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from accounts.usage import ledger

ROOT = Path(__file__).parent.parent
ROWS, USERS, DAYS = 1_000_000, 1000, 365
REPETITIONS = 7  # of each measurement

# The busiest accounts have a hundred times the usage of others; one job in fifty fails.
LEDGER = """
INSERT INTO accounts_usagerecord (created_at, user_id, token_id, transcription, outcome, engine,
    model, gpu_type, audio_ms, decode_ms, queue_ms, load_ms, nano_usd_per_second, cost_micro_usd,
    billed, reason)
SELECT now() - random() * %(days)s * interval '1 day', 1 + floor(%(users)s * random() ^ 2),
    CASE WHEN random() < 0.5 THEN 1 + floor(random() * 20) END, gen_random_uuid(),
    CASE WHEN random() < 0.02 THEN 'failed' ELSE 'completed' END,
    CASE WHEN random() < 0.8 THEN 'modal' ELSE 'whisper' END, 'stt', 'L4',
    600000 * random(), 12000 * random(), 800 * random(), 0, 275000, 3300 * random(), true,
    'Benchmark.'
FROM generate_series(1, %(rows)s)
"""
BY_DAY = """
INSERT INTO accounts_usageday (day, user_id, token_key, engine, attempts, failures,
    billed_ms, decode_ms, cold_starts, cost_micro_usd)
SELECT (created_at AT TIME ZONE 'UTC')::date, user_id, coalesce(token_id, 0), engine, count(*),
    count(*) FILTER (WHERE outcome = 'failed'), sum(audio_ms), sum(decode_ms), 0,
    sum(cost_micro_usd)
FROM accounts_usagerecord GROUP BY 1, 2, 3, 4
"""


def main() -> None:
    """Print a table and write the JSON."""
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as var:
        os.environ |= {"VAR_DIR": var, "DJANGO_SETTINGS_MODULE": "transcodio_site.settings"}
        import django

        django.setup()
        from transcodio_site import embedded

        with embedded.servers(Path(var)):
            result = {
                "machine": f"{platform.machine()}, {os.cpu_count()} cores, embedded Postgres",
                **_create_ledger(),
                "rows": [_measure(name, operation) for name, operation in _operations().items()],
            }
    path = ROOT / "benchmarks" / "results" / "usage-reports.json"
    path.write_text(json.dumps(result, indent=2) + "\n")


def _create_ledger() -> dict[str, int]:
    from django.core.management import call_command
    from django.db import connection

    from accounts.models import UsageDay, UsageRecord, User

    call_command("migrate", verbosity=0)
    User.objects.bulk_create(User(email=f"user{n}@example.com") for n in range(USERS))
    with connection.cursor() as cursor:
        cursor.execute(LEDGER, {"days": DAYS, "users": USERS, "rows": ROWS})
        cursor.execute(BY_DAY)
        cursor.execute("ANALYZE")
    sizes = {"ledger_rows": UsageRecord.objects.count(), "day_rows": UsageDay.objects.count()}
    print(sizes)
    return sizes


def _operations() -> dict[str, Callable[[], object]]:
    from django.test import Client
    from django.utils import timezone

    from accounts import models
    from accounts.models import User

    staff = Client(HTTP_HOST="127.0.0.1")
    staff.force_login(User.objects.create_superuser("staff@example.com"))
    heavy = Client(HTTP_HOST="127.0.0.1")
    heavy.force_login(User.objects.get(email="user0@example.com"))
    year = (timezone.now() - timedelta(days=DAYS)).date().isoformat()

    def page(client: Client, path: str) -> Callable[[], object]:
        def get() -> None:
            if client.get(path).status_code != 200:
                raise RuntimeError(path)

        return get

    report = "/admin/accounts/usageday/"
    return {
        "usage report, 30 days, by day": page(staff, report),
        "usage report, 30 days, by user": page(staff, f"{report}?by=user"),
        "usage report, a year, by day": page(staff, f"{report}?since={year}"),
        "usage report, a year, by user": page(staff, f"{report}?since={year}&by=user"),
        "usage report, a year, by engine": page(staff, f"{report}?since={year}&by=engine"),
        "first page of the ledger": page(staff, "/admin/accounts/usagerecord/"),
        "usage of the busiest account": page(heavy, "/settings/usage/"),
        "write one row": lambda: ledger.write_record(
            models.UsageRecord(
                user_id=1,
                transcription=uuid.uuid4(),
                outcome=models.Outcome.COMPLETED,
                audio_ms=60_000,
                billed=True,
                reason="Benchmark.",
            )
        ),
    }


def _measure(name: str, operation: Callable[[], object]) -> dict[str, Any]:
    operation()  # warm-up: compiles templates and fills caches
    times = []
    for _ in range(REPETITIONS):
        started_at = time.perf_counter()
        operation()
        times.append(time.perf_counter() - started_at)
    milliseconds = round(1000 * statistics.median(times), 1)
    print(f"{milliseconds:8.1f} ms  {name}")
    return {"what": name, "median_ms": milliseconds}


if __name__ == "__main__":
    main()
