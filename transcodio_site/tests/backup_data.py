"""An installation with everything that a backup must contain, and empty ones to restore it into."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone
from psycopg.sql import SQL, Identifier

from accounts.models import Action, AuditEvent, Outcome, Plan, UsageRecord, User
from accounts.tokens import issue_token
from accounts.usage import ledger
from transcodio_site import embedded
from transcodio_site.backup import database
from transcriptions.models import (
    FINISHED,
    WORKING,
    AudioAnalysis,
    IdempotencyKey,
    Phase,
    Progress,
    State,
    Transcription,
    record_step,
)
from transcriptions.webhooks.models import Delivery, Endpoint

# What COPY has to escape, and what must come back exactly.
TEXT = "Tab\t, line\nbreak, \\backslash, \\N, 'quote', ümlaut, 語, \x7f, 🎙"


def fill(user: User) -> None:
    """At least one row of everything that users create."""
    user.plan = Plan.objects.create(name="Studio", monthly_minutes=100)
    user.first_name = TEXT[:50]
    user.save()
    token, _ = issue_token(user, TEXT[:30])
    Authenticator.objects.create(user=user, type="webauthn", data={"name": TEXT, "n": 0.1})
    endpoint = Endpoint.objects.create(owner=user, url="https://example.com/hook")
    Delivery.objects.create(
        endpoint=endpoint, event="transcription.completed", message="m", payload={"text": TEXT}
    )
    AuditEvent.objects.create(user=user, action=Action.SIGNED_IN, address="2001:db8::1")
    session = SessionStore()
    session["text"] = TEXT
    session.create()
    for state in State:
        row = recording(user, state)
        record = UsageRecord(
            user=user, token=token, transcription=row.id, outcome=Outcome.COMPLETED,
            audio_ms=1234, billed=True, reason=TEXT[:40],
        )  # fmt: skip
        ledger.write_record(record)
    IdempotencyKey.objects.create(owner=user, key="key", transcription=row)


def recording(user: User, state: State) -> Transcription:
    """A recording in this state, with its files, segments and steps."""
    row = Transcription(owner=user, title=TEXT, state=state, source_bytes=16, duration=1 / 3)
    row.source = default_storage.save(f"recordings/{row.id}.source", ContentFile(row.id.bytes))
    row.completed_at = timezone.now() if state in FINISHED else None
    if state in WORKING:
        row.lease = uuid.uuid4()
    if state in (State.PREPARED, State.TRANSCRIBING):
        row.audio = default_storage.save(f"recordings/{row.id}.wav", ContentFile(b"prepared"))
    row.save(force_insert=True)
    AudioAnalysis.objects.create(transcription=row, spans=[[0.1, 0.3]], waveform=b"\0\xff")
    if state in WORKING:
        expired = timezone.now() - timedelta(hours=1)
        Progress.objects.filter(transcription=row).update(lease_until=expired)
    for number in (1, 2):
        words = [{"start": 0.1, "end": 0.1 + 0.2, "text": TEXT}]
        row.segments.create(number=number, start=0.1, end=0.1 + 0.2, text=TEXT, words=words)
    row.segments.filter(number=2).delete()  # the sequence is ahead of the rows
    record_step(row, Phase.UPLOAD, TEXT)
    return row


def all_rows() -> dict[str, list[str]]:
    """Every row of every table, in the text form of Postgres."""
    with connection.cursor() as cursor:
        return {table: _rows(cursor, table) for table in database.tables(cursor)}


def _rows(cursor: Any, table: str) -> list[str]:
    cursor.execute(SQL("SELECT t::text FROM {} AS t ORDER BY 1").format(Identifier(table)))
    return [text for (text,) in cursor.fetchall()]


def all_files() -> dict[str, bytes]:
    """Name and content of every file in the storage."""
    root = Path(settings.MEDIA_ROOT)
    paths = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def next_segment_id() -> int:
    """The id that the database gives to a new segment."""
    row = Transcription.objects.first()
    assert row
    return row.segments.create(number=99, start=0, end=1, text="", words=[]).pk


@contextmanager
def empty_installation(settings: Any, folder: Path) -> Iterator[None]:
    """Another database, storage and data folder, used by this process while the body runs."""
    name = f"empty_{uuid.uuid4().hex}"
    before = connection.settings_dict["NAME"]
    _execute("CREATE DATABASE {} OWNER transcodio", name)
    for subfolder in ("media", "tmp"):
        (folder / subfolder).mkdir(parents=True)
    settings.VAR_DIR, settings.MEDIA_ROOT = folder, folder / "media"
    try:
        _use_database(name)
        yield
    finally:
        _use_database(before)
        _execute("DROP DATABASE {} WITH (FORCE)", name)


def close_connections() -> None:
    """Close the connection of this thread, and those that wait in the pool."""
    wrapper: Any = connection
    wrapper.close()
    wrapper.close_pool()


def _use_database(name: str) -> None:
    close_connections()
    connection.settings_dict["NAME"] = name


def _execute(statement: str, name: str) -> None:
    with psycopg.connect(embedded.superuser_url(_servers_folder()), autocommit=True) as postgres:
        postgres.execute(SQL(statement).format(Identifier(name)))


def _servers_folder() -> Path:
    """The data folder whose embedded servers the tests use."""
    return Path(settings.EMBEDDED_SERVERS["var"])
