"""Checks of the running service: its processes, its queue, its files, and its accounts."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO

from celery import current_app
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db.models import Min, OuterRef, Subquery
from django.utils import timezone

from accounts.models import User
from accounts.usage.rebuild import count_differences
from accounts.usage.reconciliation import compare, is_billable
from transcodio_site.backup import record
from transcodio_site.doctor.findings import Finding
from transcriptions.models import STORAGE_FOLDER, State, Step, Transcription
from transcriptions.operations import orphaned_files
from transcriptions.storage.base import recording_storage

START = "make run, or the processes of docs/self-hosting.md"
PING_TIMEOUT_S = 2.0
FREQUENT_TASK = "transcriptions.tasks.requeue_stalled"  # the scheduler sends it every 3 s
SCHEDULER_TIMEOUT_S = 15.0
POLL_INTERVAL_S = 0.5
MAX_WAIT = timedelta(minutes=15)
MAX_SILENCE = timedelta(minutes=2)  # after a lease has expired; it is noticed within seconds
MAX_BACKUP_AGE_DAYS = 7
MIN_EXPLAINED_PERCENT = 50.0  # of a provider's bill: the rest is startup and idle time


def worker() -> Iterator[Finding]:
    """Whether workers respond."""
    replies = current_app.control.ping(timeout=PING_TIMEOUT_S) or []
    if names := sorted(name for reply in replies for name in reply):
        yield Finding(f"{', '.join(names)} respond")
    else:
        yield Finding("no worker responds", "Recordings are not processed.", f"Start {START}.")


def scheduler() -> Iterator[Finding]:
    """Whether workers get the tasks that the scheduler sends."""
    before = _runs()
    if before is None:
        yield Finding("not checked: no worker responds")
        return
    deadline = time.monotonic() + SCHEDULER_TIMEOUT_S
    while time.monotonic() < deadline:
        if (_runs() or 0) > before:
            yield Finding("periodic tasks run")
            return
        time.sleep(POLL_INTERVAL_S)
    yield Finding(
        f"no periodic task ran within {SCHEDULER_TIMEOUT_S:.0f} seconds",
        "Nothing is retried, cleaned up, or deleted after its retention.",
        f"Start the scheduler: {START}.",
    )


def _runs() -> int | None:
    """How often workers have run a frequent task; None if no worker responds."""
    statistics = current_app.control.inspect(timeout=PING_TIMEOUT_S / 2).stats()
    if not statistics:
        return None
    return sum(worker["total"].get(FREQUENT_TASK, 0) for worker in statistics.values())


def queue() -> Iterator[Finding]:
    """Whether recordings are started soon."""
    began = Step.objects.filter(transcription=OuterRef("pk")).order_by("-id").values("started_at")
    waiting = Transcription.objects.due(State.QUEUED) | Transcription.objects.due(State.PREPARED)
    oldest = waiting.annotate(since=Subquery(began[:1])).aggregate(Min("since"))["since__min"]
    age = timezone.now() - oldest if oldest else timedelta()
    found = f"{waiting.count()} recordings wait, the longest for {age.total_seconds():.0f} s"
    if age > MAX_WAIT:
        yield Finding(
            found,
            "There are too few workers, or none for their queue.",
            "Start more workers, or raise WORKER_CONCURRENCY: see docs/self-hosting.md.",
        )
    else:
        yield Finding(found)


def stuck_recordings() -> Iterator[Finding]:
    """Whether other workers take over the recordings of workers that have died."""
    since = timezone.now() - MAX_SILENCE
    held = Transcription.objects.filter(lease__isnull=False)
    stuck = held.filter(progress__lease_until__lt=since).count()
    if stuck:
        yield Finding(
            f"{stuck} recordings belong to workers that have died",
            "They are continued when a worker and the scheduler run.",
            f"Start {START}.",
        )
    else:
        yield Finding("none")


def storage() -> Iterator[Finding]:
    """Whether files can be written, read and deleted."""
    content = b"Transcodio"
    try:
        name = default_storage.save(f"doctor-{uuid.uuid4()}", ContentFile(content))
        try:
            with default_storage.open(name) as file:
                intact = file.read() == content
        finally:
            default_storage.delete(name)
        left = default_storage.exists(name)
    except Exception as error:  # each storage has its own
        yield _storage_problem(str(error))
        return
    if intact and not left:
        yield Finding("files can be written, read and deleted")
    else:
        yield _storage_problem("a file cannot be deleted" if left else "a file was not read back")


def _storage_problem(found: str) -> Finding:
    return Finding(
        found,
        "Uploads fail.",
        f"Make the storage writable for this user (files: {settings.MEDIA_ROOT}).",
    )


def files() -> Iterator[Finding]:
    """Whether every row has its files, and every file a row."""
    named = Transcription.objects.exclude(source="").values_list("source", flat=True)
    # The rows first: what is uploaded meanwhile is not missing. Nor is what is deleted meanwhile.
    expected = set(named.iterator())
    present = {file.name for file in recording_storage().list_files(STORAGE_FOLDER)}
    missing = sorted(named.filter(source__in=expected - present))
    if missing:
        yield Finding(
            f"{len(missing)} uploads are missing, such as {missing[0]}",
            "They cannot be played or processed again. Their transcripts are not affected.",
            "Copy them back from a backup of the storage, or restore one of `manage.py backup`.",
        )
    # They are deleted when they are a day old, once a day.
    oldest = timezone.now() - orphaned_files.MIN_AGE - timedelta(days=1)
    orphaned = orphaned_files.count_older_than(oldest)
    if orphaned:
        yield Finding(
            f"{orphaned} files belong to no recording, and are not cleaned up",
            "They use space, and may be recordings that their owners have deleted.",
            f"Start the scheduler ({START}), or run `celery -A transcodio_site call "
            "transcriptions.tasks.delete_orphaned_files`.",
        )
    if not missing and not orphaned:
        yield Finding(f"{len(present)} files, none missing")


def daily_usage() -> Iterator[Finding]:
    """Whether the sums that quotas use agree with the ledger."""
    if different := count_differences():
        yield Finding(
            f"{different} daily sums do not agree with the ledger",
            "Quotas and reports use these sums.",
            "manage.py rebuild_usage",
        )
    else:
        yield Finding("the daily sums agree with the ledger")


def bill() -> Iterator[Finding]:
    """Whether jobs explain the provider's bill of the last week."""
    today = datetime.now(UTC).date()
    since, until = today - timedelta(days=7), today - timedelta(days=1)
    if not is_billable(since, until):
        yield Finding("no provider was used in the last week")
        return
    try:
        total = compare(since, until)[-1]
    except OSError as error:
        yield Finding(f"it cannot be read: {error}", "Costs are not compared.", "modal token new")
        return
    found = f"{total.billed:.2f} USD, of which jobs explain {total.percent or 0} %"
    if total.percent is not None and total.percent < MIN_EXPLAINED_PERCENT:
        yield Finding(
            found,
            "You pay for time in which containers start or wait.",
            "Lower MODAL_CONTAINER_IDLE_TIMEOUT or MODAL_MIN_CONTAINERS, and deploy again.",
        )
    else:
        yield Finding(found)


def backups() -> Iterator[Finding]:
    """Whether this machine has made a recent backup with `manage.py backup`."""
    last = record.read()
    first = User.objects.order_by("date_joined").values_list("date_joined", flat=True).first()
    in_use_days = (timezone.now() - first).total_seconds() / 86_400 if first else 0.0
    if last and last.age_days <= MAX_BACKUP_AGE_DAYS:
        yield Finding(f"{last.name} in {last.folder}")
    elif in_use_days <= MAX_BACKUP_AGE_DAYS:
        yield Finding("none yet: `manage.py backup FOLDER` makes one")
    else:
        yield Finding(
            f"the last one is {last.age_days:.0f} days old" if last else "none of this machine",
            "Unless another machine makes them, everything added since then could be lost.",
            "manage.py backup FOLDER (every day: see docs/backup.md)",
        )


def engine() -> Iterator[Finding]:
    """Whether the engine transcribes a sample. Engines other than Whisper may need a GPU that is in
    use, or cost money."""
    command = "manage.py engine_check"
    if settings.STT_ENGINE != "whisper":
        yield Finding(f"STT_ENGINE={settings.STT_ENGINE} is not checked: run `{command}`")
        return
    try:
        call_command("engine_check", no_speakers=True, stdout=StringIO())
        yield Finding("whisper transcribes a sample")
    except CommandError as error:
        yield Finding(str(error), "Speech cannot be recognized.", command)
