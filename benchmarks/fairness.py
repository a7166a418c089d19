"""Measure the queue of recordings: python -m benchmarks.fairness [--write]

In temporary embedded servers: how long a worker takes to claim a recording while 1,000 to 100,000
of a hundred accounts wait, how many recordings of an account with 1,000 go before ten of another,
and how long an upload over the API takes meanwhile. No engine runs: what is measured is choosing.
With --write, the result is stored in benchmarks/results/fairness.json.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accounts.models import User
    from transcriptions.models import Transcription

ROOT = Path(__file__).parent.parent
ACCOUNTS = 100
CLAIMS, UPLOADS, PAGES = 50, 50, 20  # measurements of each kind
MANY, FEW = 1000, 10


def main() -> None:
    """Print the results."""
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as var, ExitStack() as servers:
        os.environ |= {
            "VAR_DIR": var,
            "DJANGO_SETTINGS_MODULE": "transcodio_site.settings",
            "MAX_WAITING": "1000000",
            "LOG_LEVEL": "ERROR",
            "RATE_LIMIT_PER_TOKEN": "100000/minute",
            "RATE_LIMIT_PER_USER": "100000/minute",
        }
        import django

        django.setup()
        from django.core.management import call_command

        from transcodio_site import embedded

        servers.enter_context(embedded.servers(Path(var)))
        call_command("migrate", verbosity=0)
        result = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, embedded Postgres",
            "order": _order(),
            "upload": _uploads(),
            "claim": [_claims(waiting) for waiting in (1000, 10_000, 100_000)],
        }
    if "--write" in sys.argv:
        path = ROOT / "benchmarks" / "results" / "fairness.json"
        path.write_text(json.dumps(result, indent=2) + "\n")


def _order() -> dict[str, int]:
    """How many recordings of the account with MANY start before those of the one with FEW."""
    from transcriptions.models import Transcription
    from transcriptions.processing.turns import assign_virtual_start

    many, few = _user("many"), _user("few")
    _queue(many, MANY)
    for _ in range(FEW):
        row = Transcription.objects.create(owner=few, source_bytes=1, state="prepared")
        assign_virtual_start(row)
    owners = []
    for _ in range(4 * FEW):
        row = _claim()
        owners.append(row.owner_id)
        _finish(row)
    places = [place for place, owner in enumerate(owners) if owner == few.pk]
    result = {
        "before_the_first": owners[: places[0]].count(many.pk),
        "before_the_last": owners[: places[-1]].count(many.pk),
    }
    print(result)
    return result


def _uploads() -> dict[str, Any]:
    """Uploads while MANY wait: the time of the web process, with the check of the file."""
    from django.core.files.uploadedfile import SimpleUploadedFile
    from django.test import Client

    from accounts.tokens import issue_token
    from transcriptions.testing import MP3

    user = _user("uploads")
    token = issue_token(user)[1]
    client = Client(headers={"Authorization": f"Bearer {token}", "Host": "127.0.0.1"})

    def upload() -> None:
        file = SimpleUploadedFile("a.mp3", MP3)
        if client.post("/api/transcriptions", {"file": file}).status_code != 202:
            raise RuntimeError("the upload was refused")

    def page() -> None:
        if client.get("/api/transcriptions").status_code != 200:
            raise RuntimeError("the page was refused")

    return {
        "upload": _measure(f"upload while {MANY} wait", upload, UPLOADS),
        "page": _measure(f"list of 20 waiting recordings while {MANY} wait", page, PAGES),
    }


def _claims(waiting: int) -> dict[str, Any]:
    """Claims while this many recordings of ACCOUNTS accounts wait."""
    from django.db import connection

    from transcriptions.models import AccountQueue

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE transcriptions_transcription CASCADE")
    AccountQueue.objects.all().delete()
    for number in range(ACCOUNTS):
        _queue(_user(f"{waiting}-{number}"), waiting // ACCOUNTS)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    measured = _measure(f"claim while {waiting} wait", _claim, CLAIMS, after=_finish)
    return {"waiting": waiting, **measured}


def _queue(owner: User, count: int) -> None:
    from transcriptions.testing import queue_many

    queue_many(owner, count)


def _user(name: str) -> User:
    from accounts.models import User

    return User.objects.create(email=f"{name}@example.com")


def _claim() -> Transcription:
    from transcriptions.models import State
    from transcriptions.processing.scheduling import claim_next

    row = claim_next(State.TRANSCRIBING)
    if row is None:
        raise RuntimeError("nothing was claimed")
    return row


def _finish(row: Transcription) -> None:
    from transcriptions.processing import lifecycle

    lifecycle.mark_failed(row, "benchmark", "")


def _measure(
    name: str,
    operation: Callable[[], Any],
    repetitions: int,
    after: Callable[[Any], None] = lambda result: None,
) -> dict[str, float]:
    times = []
    for _ in range(repetitions):
        started_at = time.perf_counter()
        result = operation()
        times.append(time.perf_counter() - started_at)
        after(result)  # not timed
    times.sort()
    median, p95 = statistics.median(times), times[int(0.95 * len(times))]
    print(f"{1000 * median:8.1f} ms  {1000 * p95:8.1f} ms  {name}")
    return {"median_ms": round(1000 * median, 2), "p95_ms": round(1000 * p95, 2)}


if __name__ == "__main__":
    main()
