"""`manage.py doctor`: the checks of the servers and of the running service."""

from __future__ import annotations

import json
import os
import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Action, AuditEvent, UsageDay, User
from accounts.usage import reconciliation
from transcodio_site.backup import record
from transcodio_site.doctor import configuration, operation, services
from transcodio_site.doctor.findings import Check
from transcodio_site.testing_storage import BucketFolder
from transcodio_site.tests.backup_data import recording
from transcodio_site.tests.broken_installation import Break, installation, problems, set_to
from transcriptions.conftest import folders
from transcriptions.models import State, Step, Transcription
from transcriptions.storage.base import StoredFile, recording_storage
from transcriptions.testing import use_minutes

__all__ = ["folders", "installation"]  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)


def execute(statement: str) -> Break:
    """Change the database; the test rolls it back."""

    def change(settings: Any, patch: pytest.MonkeyPatch) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    return change


def wait_for_an_hour(settings: Any, patch: pytest.MonkeyPatch) -> None:
    row = recording(User.objects.get(), State.QUEUED)
    Step.objects.filter(transcription=row).update(started_at=timezone.now() - timedelta(hours=1))


def lose_upload(settings: Any, patch: pytest.MonkeyPatch) -> None:
    default_storage.delete(str(Transcription.objects.get().source))


def leave_old_file(settings: Any, patch: pytest.MonkeyPatch) -> None:
    name = default_storage.save(f"recordings/{uuid.uuid4()}.source", ContentFile(b""))
    long_ago = (datetime.now(UTC) - timedelta(days=9)).timestamp()
    os.utime(default_storage.path(name), (long_ago, long_ago))


def change_daily_usage(settings: Any, patch: pytest.MonkeyPatch) -> None:
    use_minutes(User.objects.get(), 1)
    assert problems(operation.daily_usage) == []
    UsageDay.objects.update(billed_ms=1)


def use_modal(settings: Any, patch: pytest.MonkeyPatch) -> None:
    """A bill of 3 USD for yesterday, of which jobs explain 1 USD."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    UsageDay.objects.create(
        user_id=User.objects.get().pk, day=yesterday, engine="modal", cost_micro_usd=1_000_000
    )
    patch.setattr(reconciliation, "import_string", lambda _: lambda *_: {yesterday: Decimal(3)})


def unreadable_bill(settings: Any, patch: pytest.MonkeyPatch) -> None:
    use_modal(settings, patch)

    def read(*_: Any) -> None:
        raise OSError("no token")

    patch.setattr(reconciliation, "import_string", lambda _: read)


def sign_in_from_the_proxy(settings: Any, patch: pytest.MonkeyPatch) -> None:
    settings.SITE_URL, settings.ALLAUTH_TRUSTED_PROXY_COUNT = "https://example.com", 1
    for _ in range(5):
        AuditEvent.objects.create(
            user=User.objects.get(), action=Action.SIGNED_IN, address="10.0.0.1"
        )


def use_for_a_month(settings: Any, patch: pytest.MonkeyPatch) -> None:
    User.objects.update(date_joined=timezone.now() - timedelta(days=30))


def last_backup_long_ago(settings: Any, patch: pytest.MonkeyPatch) -> None:
    use_for_a_month(settings, patch)
    record.write(Path("/mnt/backup"), "1")
    assert problems(operation.backups) == []
    long_ago = (datetime.now(UTC) - timedelta(days=10)).isoformat()
    text = json.dumps({"folder": "/mnt/backup", "name": "1", "time": long_ago})
    (Path(settings.VAR_DIR) / "last_backup.json").write_text(text)


def move_clock(settings: Any, patch: pytest.MonkeyPatch) -> None:
    def now(zone: Any) -> datetime:
        return datetime.now(zone) + timedelta(minutes=5)

    patch.setattr(services, "datetime", SimpleNamespace(now=now))


def no_response(settings: Any, patch: pytest.MonkeyPatch) -> None:
    """A server far away."""
    patch.setattr(services, "MAX_ROUND_TRIP_S", 0.0)


def no_scheduler(settings: Any, patch: pytest.MonkeyPatch) -> None:
    """A worker that does nothing."""
    patch.setattr(operation, "_runs", lambda: 7)
    patch.setattr(operation, "SCHEDULER_TIMEOUT_S", 0.1)


@pytest.mark.parametrize(
    ("check", "change", "found"),
    [
        (
            services.database,
            lambda _, patch: patch.setitem(connection.settings_dict, "HOST", "/nowhere"),
            "No such file",
        ),
        (
            services.database,
            lambda _, patch: patch.setattr(services, "OLDEST_POSTGRES", 990_000),
            "PostgreSQL 18",
        ),
        (services.valkey, set_to(REDIS_URL="unix:///nowhere?db=0"), "/nowhere"),
        (services.valkey, lambda _, p: p.setattr(services, "OLDEST_VALKEY", (99,)), "Redis 7"),
        (services.database_latency, no_response, "ms"),
        (services.valkey_latency, no_response, "ms"),
        (
            services.migrations,
            execute(
                "DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations)"
            ),
            "1 migrations are not applied",
        ),
        (
            services.migrations,
            execute("INSERT INTO django_migrations (app, name, applied) VALUES ('a', 'b', now())"),
            "1 migrations of another release, such as a.b",
        ),
        (
            services.schema,
            execute("ALTER TABLE accounts_usagerecord DISABLE TRIGGER only_grows"),
            "trigger only_grows of accounts_usagerecord",
        ),
        (services.schema, execute("DROP INDEX owner_newest_first"), "owner_newest_first of"),
        (
            services.schema,
            execute(
                "ALTER TABLE transcriptions_transcription DROP CONSTRAINT finished_has_completed_at"
            ),
            "finished_has_completed_at of",
        ),
        (services.clock, move_clock, "differs .* by 300 s"),
        (configuration.proxies, sign_in_from_the_proxy, "comes from 10.0.0.1"),
        (operation.queue, wait_for_an_hour, "1 recordings wait, the longest for 36"),
        (
            operation.stuck_recordings,
            lambda *_: recording(User.objects.get(), State.TRANSCRIBING),
            "1 recordings belong",
        ),
        (operation.storage, set_to(MEDIA_ROOT="/proc/nowhere"), "/proc/nowhere"),
        (operation.files, lose_upload, "1 uploads are missing"),
        (operation.files, leave_old_file, "1 files belong to no recording"),
        (operation.daily_usage, change_daily_usage, "2 daily sums"),
        (operation.bill, use_modal, "3.00 USD, of which jobs explain 33.3 %"),
        (operation.bill, unreadable_bill, "no token"),
        (operation.backups, use_for_a_month, "none of this machine"),
        (operation.backups, last_backup_long_ago, "10 days old"),
        (operation.scheduler, no_scheduler, "no periodic task ran"),
    ],
)
def test_what_goes_wrong_in_operation_is_found(
    installation: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    check: Check,
    change: Break,
    found: str,
) -> None:
    if check is operation.daily_usage:  # it has a transaction of its own
        change(settings, monkeypatch)
        (problem,) = problems(check)
    else:
        with transaction.atomic():
            assert problems(check) == []
            change(settings, monkeypatch)
            (problem,) = problems(check)
            transaction.set_rollback(True)
    assert problem.remedy
    assert re.search(found, problem.found)


def test_missing_worker_is_found(installation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "PING_TIMEOUT_S", 0.1)
    (problem,) = problems(operation.worker)
    assert problem.found == "no worker responds"
    assert problems(operation.scheduler) == []  # not checked


def test_files_in_object_storage_are_found(bucket: BucketFolder, alice: User) -> None:
    row = recording(alice, State.COMPLETED)
    assert problems(operation.files) == []
    default_storage.delete(str(row.source))
    (problem,) = problems(operation.files)
    assert problem.found.startswith("1 uploads are missing")


def test_uploads_and_deletions_during_the_check_are_not_reported(
    installation: Path, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = recording_storage()
    list_files = storage.list_files

    def list_meanwhile(folder: str) -> list[StoredFile]:
        monkeypatch.undo()
        Transcription.objects.get().delete()
        before = list(list_files(folder))
        recording(alice, State.COMPLETED)
        return before

    monkeypatch.setattr(storage, "list_files", list_meanwhile)
    assert problems(operation.files) == []
    assert Transcription.objects.count() == 1
