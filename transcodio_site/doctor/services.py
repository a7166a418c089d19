"""Checks of Postgres, Valkey and the mail server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime

import psycopg
import redis
from django.apps import apps
from django.conf import settings
from django.core import mail
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from transcodio_site.doctor.findings import Finding

OLDEST_POSTGRES = 140_000  # of Django 5.2
OLDEST_VALKEY = (6, 2)
ROUND_TRIPS = 5
MAX_ROUND_TRIP_S = 0.1  # of the fastest one; each segment takes a round trip
MAX_CLOCK_DIFFERENCE_S = 2.0
TIMEOUT_S = 5
# Table and name of the triggers that protect the ledger, the audit log and the states of recordings
# from bugs.
TRIGGERS = frozenset(
    {
        ("accounts_auditevent", "guard"),
        ("accounts_auditevent", "never_emptied"),
        ("accounts_usagerecord", "never_emptied"),
        ("accounts_usagerecord", "only_grows"),
        ("transcriptions_segment", "index_corrected_segment"),
        ("transcriptions_segment", "index_new_segment"),
        ("transcriptions_transcription", "add_progress"),
        ("transcriptions_transcription", "check_transition"),
        ("transcriptions_transcription", "index_again"),
        ("transcriptions_transcription", "index_changed_title"),
        ("transcriptions_transcription", "index_new_title"),
    }
)
ENABLED_TRIGGERS = """
SELECT relname, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal AND tgenabled <> 'D'
"""
CONSTRAINTS = """
SELECT conname FROM pg_constraint
WHERE connamespace = current_schema()::regnamespace AND convalidated
UNION ALL SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = current_schema()::regnamespace AND indisvalid
"""
RESTORE_SCHEMA = (
    "Restore a backup: `manage.py backup FOLDER`, stop the service, and "
    "`manage.py restore FOLDER --replace`, which creates all tables again."
)


def database() -> Iterator[Finding]:
    """Whether Postgres answers."""
    try:
        parameters = connection.get_connection_params() | {"connect_timeout": TIMEOUT_S}
        with closing(psycopg.connect(**parameters, autocommit=True)) as own:
            version = own.info.server_version
    except psycopg.Error as error:
        yield Finding(
            " ".join(str(error).split()),
            "Nothing works.",
            "Start the embedded servers with `make run`, and see VAR_DIR/log/postgres.log."
            if settings.EMBEDDED
            else "Start PostgreSQL, and check DATABASE_URL.",
        )
        return
    found = f"PostgreSQL {version // 10_000}.{version % 10_000}"
    if version < OLDEST_POSTGRES:
        oldest = OLDEST_POSTGRES // 10_000
        yield Finding(found, "Migrations fail.", f"Upgrade PostgreSQL to {oldest} or newer.")
    else:
        yield Finding(found)


def database_latency() -> Iterator[Finding]:
    """How fast Postgres answers."""
    with connection.cursor() as cursor:
        yield _latency(lambda: cursor.execute("SELECT 1"))


def valkey() -> Iterator[Finding]:
    """Whether Valkey or Redis answers."""
    try:
        with _valkey_client() as client:
            information = client.info("server")
    except (redis.RedisError, OSError) as error:
        yield Finding(
            str(error),
            "Recordings are not processed, and pages do not follow them live.",
            "Start the embedded servers with `make run`, and see VAR_DIR/log/valkey.log."
            if settings.EMBEDDED_SERVERS["valkey"]
            else "Start Valkey or Redis, and check REDIS_URL.",
        )
        return
    version = str(information["redis_version"])
    found = f"compatible with Redis {version}"
    if tuple(map(int, version.split(".")[:2])) < OLDEST_VALKEY:
        yield Finding(found, "Commands are missing.", "Upgrade Valkey or Redis.")
    else:
        yield Finding(found)


def valkey_latency() -> Iterator[Finding]:
    """How fast Valkey or Redis answers."""
    with _valkey_client() as client:
        yield _latency(client.ping)


def _valkey_client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    )


def _latency(ask: Callable[[], object]) -> Finding:
    """The fastest of a few round trips: the machine may be busy."""
    durations = []
    for _ in range(ROUND_TRIPS):
        started_at = time.monotonic()
        ask()
        durations.append(time.monotonic() - started_at)
    fastest = min(durations)
    found = f"{fastest * 1000:.1f} ms"
    if fastest < MAX_ROUND_TRIP_S:
        return Finding(found)
    return Finding(
        found,
        "Every page and every segment needs several round trips.",
        "Move it closer to the web server and the workers.",
    )


def migrations() -> Iterator[Finding]:
    """Whether the tables are those of this release."""
    executor = MigrationExecutor(connection)
    graph, applied = executor.loader.graph, executor.loader.applied_migrations
    pending = [str(m) for m, _ in executor.migration_plan(graph.leaf_nodes())]
    unknown = [".".join(key) for key in applied if key not in executor.loader.disk_migrations]
    if pending:
        yield Finding(
            f"{len(pending)} migrations are not applied, such as {pending[0]}",
            "Pages and tasks fail.",
            "manage.py migrate",
        )
    if unknown:
        yield Finding(
            f"the database has {len(unknown)} migrations of another release, such as {unknown[0]}",
            "This release may write data that the other one does not understand.",
            "Check out that release, or restore a backup of this one.",
        )
    if not pending and not unknown:
        yield Finding(f"{len(applied)} are applied")


def schema() -> Iterator[Finding]:
    """Whether all triggers, constraints and indexes exist and are valid."""
    with connection.cursor() as cursor:
        cursor.execute(ENABLED_TRIGGERS)
        absent = TRIGGERS - set(cursor.fetchall())
        cursor.execute(CONSTRAINTS)
        present = {name for (name,) in cursor.fetchall()}
    missing = [f"trigger {name} of {table}" for table, name in absent]
    for model in apps.get_models():
        declared = {part.name for part in (*model._meta.constraints, *model._meta.indexes)}
        missing += [f"{name} of {model._meta.db_table}" for name in declared - present]
    if missing:
        yield Finding(
            f"missing, disabled or invalid: {', '.join(sorted(missing))}",
            "Invalid data is no longer refused, or queries are slow.",
            RESTORE_SCHEMA,
        )
    else:
        yield Finding("triggers, constraints and indexes are complete")


def clock() -> Iterator[Finding]:
    """Whether this machine and the database agree about the time."""
    with connection.cursor() as cursor:
        before = datetime.now(UTC)
        cursor.execute("SELECT clock_timestamp()")
        theirs = cursor.fetchone()[0]
        after = datetime.now(UTC)
    # Its answer lies between the two moments if the clocks agree.
    difference = max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0.0)
    if difference > MAX_CLOCK_DIFFERENCE_S:
        yield Finding(
            f"it differs from that of the database by {difference:.0f} s",
            "Authenticator codes, expirations and retention do not work correctly.",
            "Synchronize the clocks of both machines: timedatectl set-ntp true",
        )
    else:
        yield Finding("it agrees with that of the database")


def email() -> Iterator[Finding]:
    """Whether the mail server accepts a connection."""
    if not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        yield Finding("no mail server: emails are not delivered (EMAIL_URL)")
        return
    server = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    try:
        with mail.get_connection(timeout=TIMEOUT_S):
            yield Finding(f"{server} accepts a connection")
    except OSError as error:  # SMTPException is one
        yield Finding(
            f"{server}: {error}",
            "Users cannot confirm addresses or reset passwords.",
            "Start the mail server, and check EMAIL_URL.",
        )
