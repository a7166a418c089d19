"""Backup and restoration of the database and the storage, in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import FileField

from accounts.models import AuditEvent, UsageRecord, User
from accounts.usage.rebuild import count_differences
from transcodio_site.backup import database, media, record
from transcodio_site.backup.creation import create
from transcodio_site.backup.manifest import BackupError
from transcodio_site.backup.restoration import restore
from transcodio_site.backup.store import Store
from transcodio_site.backup.verification import verify
from transcodio_site.testing import largest_file, wait_until
from transcodio_site.tests.backup_data import (
    all_files,
    all_rows,
    close_connections,
    empty_installation,
    fill,
    next_segment_id,
    recording,
)
from transcriptions.models import FINISHED, Segment, State, Transcription

pytestmark = pytest.mark.django_db(transaction=True)

# Tables whose rows change for unfinished recordings, because their processing starts again.
CHANGED = {f"transcriptions_{name}" for name in ("progress", "step", "transcription")}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "backups")


@pytest.fixture
def filled(alice: User, settings: Any, tmp_path: Path) -> User:
    """Alice has used every feature."""
    settings.VAR_DIR, settings.MEDIA_ROOT = tmp_path / "old", tmp_path / "old" / "media"
    settings.VAR_DIR.mkdir()
    fill(alice)
    return alice


def command(*arguments: Any) -> str:
    """Run a command, and return what it prints."""
    output = StringIO()
    call_command(*map(str, arguments), stdout=output)
    return output.getvalue()


@pytest.mark.slow
@pytest.mark.covers("fault", "The database, the storage and the data folder are lost")
def test_everything_is_restored_into_an_empty_installation(
    filled: User, store: Store, settings: Any, tmp_path: Path
) -> None:
    gone = str(Transcription.objects.get(state=State.FAILED).source)
    default_storage.delete(gone)  # since it was listed
    rows, files, key = all_rows(), all_files(), settings.SECRET_KEY
    unfinished = {str(row.id) for row in Transcription.objects.exclude(state__in=FINISHED)}
    newest_segment = Segment.objects.latest("id").pk
    with pytest.raises(CommandError, match=f"1 recordings have lost their files, such as {gone}"):
        command("backup", store.folder)
    with empty_installation(settings, tmp_path / "new"):
        printed = command("restore", store.folder)
        restored = all_rows()
        assert restored.keys() == rows.keys()
        for table in rows.keys() - CHANGED:
            assert restored[table] == rows[table], table
        assert finished(restored, unfinished) == finished(rows, unfinished)
        # Prepared audio is made again, and no worker is left.
        assert all_files() == {n: data for n, data in files.items() if not n.endswith(".wav")}
        assert Transcription.objects.filter(state=State.QUEUED, lease=None, audio="").count() == 4
        assert "1 users, 7 recordings" in printed
        assert "processing starts again: 3." in printed
        assert "1 files are missing" in printed
        assert (tmp_path / "new" / "secret_key").read_text() == key
        # Everything works as before.
        assert filled.check_password("correct horse battery")
        assert next_segment_id() == newest_segment + 2  # not the one that was deleted
        assert count_differences() == 0
        assert_guarded()
    assert all_rows() == rows


def finished(rows: dict[str, list[str]], unfinished: set[str]) -> dict[str, list[str]]:
    """The rows of finished recordings, and their steps."""
    return {
        table: [row for row in rows[table] if not any(name in row for name in unfinished)]
        for table in CHANGED
    }


def assert_guarded() -> None:
    """The triggers work."""
    for change in (
        lambda: UsageRecord.objects.update(audio_ms=0),
        lambda: AuditEvent.objects.all().delete(),
        lambda: Transcription.objects.update(state=State.COMPLETED),
    ):
        with pytest.raises(Exception, match=r"grow|illegal|audit"), transaction.atomic():
            change()


def test_second_backup_adds_only_what_is_new(filled: User, store: Store) -> None:
    first = create(store)
    assert first.new_files == len(State)
    copies = [store.path(file.blob).stat().st_ino for file in first.manifest.files]
    contents = set(store.folder.glob("blobs/*/*"))
    second = create(store)
    assert second.new_files == 0
    assert set(store.folder.glob("blobs/*/*")) == contents
    assert [store.path(file.blob).stat().st_ino for file in second.manifest.files] == copies
    recording(filled, State.COMPLETED)
    third = create(store, keep=2)
    assert (third.new_files, third.deleted_backups) == (1, 1)
    assert store.names() == [second.manifest.name, third.manifest.name]
    assert verify(store, store.names()) == []


def test_changed_file_and_lost_content_are_stored_again(filled: User, store: Store) -> None:
    file, lost = create(store).manifest.files[:2]
    Path(default_storage.path(file.name)).write_bytes(b"x" * file.blob.size)
    store.path(lost.blob).unlink()
    assert create(store).new_files == 1
    newest = store.names()[-1]
    assert verify(store, [newest]) == []


@pytest.mark.covers("fault", "Recordings are added and deleted while a backup runs")
def test_backup_is_of_one_moment(filled: User, store: Store) -> None:
    names = media.referenced_names()
    gone = Transcription.objects.filter(state=State.COMPLETED).get()
    with store.locked(), database.snapshot() as cursor:
        before = {table: len(rows) for table, rows in all_rows().items()}
        in_thread(lambda: recording(filled, State.COMPLETED), gone.delete)
        dumps = {table: database.dump(cursor, table, store) for table in database.tables(cursor)}
        assert {table: dump.rows for table, dump in dumps.items()} == before
        assert media.referenced_names() == names
        assert media.still_referenced([str(gone.source)])
    assert media.backed_up(str(gone.source), store, None) is None
    assert not media.still_referenced([str(gone.source)])


def in_thread(*changes: Any) -> None:
    """Make changes over a connection of their own."""

    def run() -> None:
        for change in changes:
            change()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


@pytest.mark.covers("fault", "The disk with the backups is full")
def test_full_disk_leaves_earlier_backups(filled: User, store: Store) -> None:
    first = create(store).manifest.name
    recording(filled, State.QUEUED)
    with pytest.raises(CommandError, match="Earlier backups are unchanged"), largest_file(100):
        command("backup", store.folder)
    assert store.names() == [first]
    assert verify(store, [first]) == []
    assert not list(store.folder.glob("new/*"))


@pytest.mark.covers("fault", "The disk with the recordings is not mounted during a backup")
def test_backup_without_recordings_fails_and_deletes_no_other(
    filled: User, store: Store, settings: Any, tmp_path: Path
) -> None:
    complete = create(store).manifest.name
    settings.MEDIA_ROOT = tmp_path / "not mounted"
    with pytest.raises(CommandError, match=f"is incomplete: {len(State)} recordings have lost"):
        command("backup", store.folder, "--keep", 1)
    assert record.read() is None
    assert store.names()[0] == complete
    assert verify(store, [complete]) == []
    settings.MEDIA_ROOT = tmp_path / "old" / "media"
    assert "Old backups deleted: 2." in command("backup", store.folder, "--keep", 1)


def test_installation_in_use_is_not_overwritten(filled: User, store: Store) -> None:
    command("backup", store.folder)
    rows, files = all_rows(), all_files()
    end_other_sessions()
    with pytest.raises(CommandError, match=r"not empty .* Add --replace"):
        command("restore", store.folder)
    with another_connection(), pytest.raises(CommandError, match="Stop Transcodio"):
        command("restore", store.folder, "--replace")
    assert (all_rows(), all_files()) == (rows, files)


def test_only_the_owner_of_the_data_can_restore(
    filled: User, store: Store, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("backup", store.folder)
    rows = all_rows()
    monkeypatch.setattr("os.geteuid", lambda: settings.VAR_DIR.stat().st_uid + 1)
    with pytest.raises(CommandError, match="could not use the restored files"):
        command("restore", store.folder, "--replace")
    assert all_rows() == rows


def end_other_sessions() -> None:
    """Close the connections of other tests: those in the pool, and those of threads that are still
    there."""
    close_connections()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user "
            "AND datname = current_database() AND pid <> pg_backend_pid()"
        )
    wait_until(lambda: database.other_sessions() == 0)


@contextmanager
def another_connection() -> Iterator[None]:
    """Somebody else uses the database."""
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        with connection.cursor():
            ready.set()
            done.wait()
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.covers("fault", "A backup that is to be restored is damaged")
def test_damaged_backup_changes_nothing(
    filled: User, store: Store, settings: Any, tmp_path: Path
) -> None:
    manifest = create(store).manifest
    blob = next(table.blob for table in manifest.tables if table.name == "accounts_user")
    content = store.path(blob).read_bytes()
    with empty_installation(settings, tmp_path / "new"):
        store.path(blob).write_bytes(content[:-1] + b"?")
        with pytest.raises(BackupError, match=r"(?s)nothing was changed.*table accounts_user"):
            restore(store, None)
        assert (all_rows(), all_files()) == ({}, {})


def test_backup_of_a_newer_release_is_refused(filled: User, store: Store) -> None:
    manifest = create(store).manifest
    newer = replace(
        manifest, name="99990101T000000Z", version="9.9", migrations=(("accounts", "9999_new"),)
    )
    with store.locked():
        store.publish(newer)
    rows = all_rows()
    with pytest.raises(CommandError, match=r"Install Transcodio 9\.9"):
        command("restore", store.folder, "--replace")
    assert all_rows() == rows


@pytest.mark.slow
@pytest.mark.covers("fault", "A restoration is interrupted and repeated")
def test_older_backup_replaces_a_newer_installation_and_is_migrated(
    filled: User, store: Store, settings: Any, tmp_path: Path
) -> None:
    create(store)
    with empty_installation(settings, tmp_path / "new"):
        restore(store, None)
        before, last = webhook_migrations()[-2:]
        MigrationExecutor(connection).migrate([before])
        older = create(store).manifest.name
        rows = {table: len(rows) for table, rows in all_rows().items()}
        MigrationExecutor(connection).migrate([last])
        default_storage.save("recordings/of another installation", ContentFile(b""))
        name, *_ = all_files()
        Path(default_storage.path(name)).write_bytes(b"a part")  # of an interrupted attempt
        Transcription.objects.all().delete()
        restore(store, older, replace=True)
        restored = {table: len(rows) for table, rows in all_rows().items()}
        assert restored == rows | {"django_migrations": rows["django_migrations"] + 1}
        assert len(all_files()) == len(State)
        assert all_files()[name] != b"a part"


def webhook_migrations() -> list[tuple[str, str]]:
    """The migrations of an app on which no other app depends."""
    migrations = MigrationExecutor(connection).loader.disk_migrations
    return sorted(key for key in migrations if key[0] == "webhooks")


def test_last_backup_is_recorded(filled: User, store: Store, settings: Any) -> None:
    assert record.read() is None
    command("backup", store.folder)
    last = record.read()
    assert last
    assert last.folder == str(store.folder)
    assert last.age_days < 1
    assert "Intact" in command("backup", store.folder, "--verify")


def test_every_file_field_is_backed_up_or_can_be_made_again() -> None:
    fields = {
        str(field)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, FileField)
    }
    assert fields - media.NOT_INCLUDED == {"transcriptions.Transcription.source"}
