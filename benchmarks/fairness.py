"""Measure the queue of recordings: python -m benchmarks.fairness [--before CHECKOUT] [--write]

In temporary embedded servers: how long a worker takes to claim a recording while 1,000 to 100,000
recordings of a hundred accounts wait, and how many recordings of an account with 1,000 are claimed
before ten of another. No engine runs: only the choice is measured. Then uploads of both accounts go
through a Celery worker, whose engine takes 0.2 s for each segment. Uploads over the API are
measured with a web process, and alternately with one of another checkout, if one is given. With
--write, the result is stored in benchmarks/results/fairness.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.watchers.site import WebProcess
from transcodio_site.testing import HOLD_FOLDER, SAMPLE, Media

if TYPE_CHECKING:
    from accounts.models import User
    from transcriptions.models import Transcription

ROOT = Path(__file__).parent.parent
ACCOUNTS = 100
CLAIMS, UPLOADS, PAGES = 50, 100, 20  # measurements of each kind
MANY, FEW = 1000, 10
TIMEOUT_S = 600.0


def main() -> None:
    """Print the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="with the former code")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="transcodio-benchmark-") as var, ExitStack() as servers:
        os.environ |= {
            "VAR_DIR": var,
            "DJANGO_SETTINGS_MODULE": "transcodio_site.settings",
            "MAX_WAITING": "1000000",
            "MAX_WAITING_PER_ACCOUNT": "1000000",
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
            "upload": _uploads(Path(var), options.before),
            "worker": _through_a_worker(Path(var)),
            "claim": [_claims(waiting) for waiting in (1000, 10_000, 100_000)],
        }
    if options.write:
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


def _uploads(var: Path, before: Path | None) -> dict[str, Any]:
    """Uploads of ten seconds over HTTP while MANY wait, and the list of waiting recordings."""
    from accounts.tokens import issue_token

    checkouts = {"upload": ROOT} | ({"upload before": before} if before else {})
    headers = {"Authorization": f"Bearer {issue_token(_user('uploads'))[1]}"}
    recording = _recording(var, 10).read_bytes()
    with ExitStack() as stack:
        clients = []
        for checkout in checkouts.values():
            web = WebProcess(checkout)
            stack.callback(web.stop)
            clients.append(stack.enter_context(httpx.Client(base_url=web.url, headers=headers)))

        def upload(client: httpx.Client) -> None:
            files = {"file": ("a.mp3", recording)}
            response = client.post("/api/transcriptions", files=files, timeout=TIMEOUT_S)
            if response.status_code != 202:
                raise RuntimeError(f"the upload was refused: {response.text}")

        def page() -> None:
            clients[0].get("/api/transcriptions", timeout=TIMEOUT_S).raise_for_status()

        for client in clients:
            upload(client)  # loads the modules that the process needs
        uploads = _measure_alternately(
            {
                f"{name} while {MANY} wait": partial(upload, client)
                for name, client in zip(checkouts, clients, strict=True)
            },
            UPLOADS,
        )
        page_times = _measure(f"list of 20 waiting recordings while {MANY} wait", page, PAGES)
    load = round(os.getloadavg()[0], 1)
    return {**dict(zip(checkouts, uploads, strict=True)), "page": page_times, "load": load}


def _recording(folder: Path, seconds: int) -> Path:
    arguments = ("-stream_loop", "-1", "-i", str(SAMPLE), "-t", f"{seconds}")
    return Media(folder).make(f"{seconds}.mp3", *arguments)


def _through_a_worker(var: Path) -> dict[str, Any]:
    """MANY uploads of an account and then FEW of another, until a worker that is started afterwards
    has completed the FEW."""
    from django.db import connection

    from transcriptions.models import AccountQueue, State, Transcription

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE transcriptions_transcription CASCADE")
    AccountQueue.objects.all().delete()
    many, few = _user("many uploads"), _user("few uploads")
    recording = _recording(var, 2).read_bytes()
    for owner, count in ((many, MANY), (few, FEW)):
        for _ in range(count):
            _submit(owner, recording)
    completed = Transcription.objects.filter(state=State.COMPLETED).order_by("completed_at")
    with _worker(var):
        while not completed.exists():
            time.sleep(0.01)
        while completed.filter(owner=few).count() < FEW:
            time.sleep(0.01)
    return _waits(list(completed), few)


def _submit(owner: User, recording: bytes) -> None:
    """Create the result of an upload, without the check of the file."""
    from django.core.files.uploadedfile import SimpleUploadedFile

    from transcriptions.uploads.params import UploadParams
    from transcriptions.uploads.service import insert, store_file

    file = SimpleUploadedFile("a.mp3", recording)
    insert(store_file(owner, file, UploadParams(), None), None)


@contextmanager
def _worker(var: Path) -> Iterator[None]:
    """A Celery worker with the usual number of threads and an engine that takes 0.2 s a segment."""
    environment = os.environ | {
        "PYTHONPATH": f"{HOLD_FOLDER}",
        "HOLD_FILE": str(var / "hold"),
        "DETERMINISTIC_ENGINE": str(var),
    }
    command = [sys.executable, "-m", "celery", "-A", "transcodio_site", "--quiet", "worker"]
    queues = ["--queues", "preprocess,transcribe", "--without-gossip", "--without-mingle"]
    process = subprocess.Popen([*command, *queues], cwd=ROOT, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


def _waits(completed: list[Transcription], few: User) -> dict[str, Any]:
    """How long the FEW waited, from the first claim, and how many others were completed before."""
    first_claim = min(row.claimed_at for row in completed if row.claimed_at)
    places = [place for place, row in enumerate(completed) if row.owner_id == few.pk]
    completed_at = [row.completed_at for row in completed if row.completed_at]
    ends = [(at - first_claim).total_seconds() for at in completed_at]
    first, last = places[0], places[-1]
    seconds_per_recording = ends[last] / (last + 1)
    result = {
        "others_before_the_first": first,
        "others_before_the_last": last + 1 - FEW,
        "seconds_to_the_first": round(ends[first], 1),
        "seconds_to_the_last": round(ends[last], 1),
        "seconds_in_order_of_arrival": round(seconds_per_recording * (MANY + FEW)),
    }
    print(result)
    return result


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
    return _measure_alternately({name: operation}, repetitions, after)[0]


def _measure_alternately(
    operations: dict[str, Callable[[], Any]],
    repetitions: int,
    after: Callable[[Any], None] = lambda result: None,
) -> list[dict[str, float]]:
    times: dict[str, list[float]] = {name: [] for name in operations}
    for _ in range(repetitions):
        for name, operation in operations.items():
            started_at = time.perf_counter()
            result = operation()
            times[name].append(time.perf_counter() - started_at)
            after(result)  # not timed
    return [_summary(name, sorted(measured)) for name, measured in times.items()]


def _summary(name: str, times: list[float]) -> dict[str, float]:
    median, p95 = statistics.median(times), times[int(0.95 * len(times))]
    print(f"{1000 * median:8.1f} ms  {1000 * p95:8.1f} ms  {name}")
    return {"median_ms": round(1000 * median, 2), "p95_ms": round(1000 * p95, 2)}


if __name__ == "__main__":
    main()
