"""Data that earlier releases stored."""

from __future__ import annotations

import importlib

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.db import connection

from accounts.models import Action, AuditEvent, Outcome, UsageRecord, User
from accounts.usage import ledger

TRANSCRIPTION_ID = "00000000-0000-4000-8000-000000000000"


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def test_names_are_erased_from_logs_and_back(alice: User, carol: User) -> None:
    migration = importlib.import_module("accounts.migrations.0027_erase_names_from_logs")
    (erase,) = migration.Migration.operations
    gone, known = 987654, {"address": "192.0.2.7"}
    AuditEvent.objects.create(user=alice, action=Action.DELETED, detail="The title", **known)
    AuditEvent.objects.create(user=alice, action=Action.TOKEN_CREATED, detail="Laptop", **known)
    for _ in range(2):
        AuditEvent.objects.create(user_id=gone, action=Action.EMAIL, detail="Their name", **known)
    record = UsageRecord(
        user=alice,
        transcription=TRANSCRIPTION_ID,
        outcome=Outcome.CORRECTION,
        reason="Refunded by carol@example.com.",
    )
    ledger.write_record(record)
    LogEntry.objects.create(user=carol, action_flag=1, object_id="7", object_repr="The title")
    run("SET CONSTRAINTS ALL IMMEDIATE")  # a table with pending checks cannot be altered
    run(erase.sql)
    title, token, *others = AuditEvent.objects.order_by("id")
    assert (title.detail, title.address, title.user) == ("", "192.0.2.7", alice)
    assert (token.detail, token.pseudonym) == ("Laptop", None)
    assert {(e.detail, e.address, e.user_id) for e in others} == {("", None, None)}
    assert len({e.pseudonym for e in others} - {None}) == 1
    assert UsageRecord.objects.get().reason == "Refunded by an administrator."
    assert LogEntry.objects.get().object_repr == "7"
    run(erase.reverse_sql)
    assert not AuditEvent.objects.filter(user=None).exists()


def test_emails_are_stored_in_lower_case(alice: User, bob: User) -> None:
    migration = importlib.import_module("accounts.migrations.0035_emails_in_lower_case")
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run("ALTER TABLE accounts_user DROP CONSTRAINT lower_case_email")
    duplicate = User.objects.create(email="Alice@example.com")
    User.objects.filter(pk=bob.pk).update(email="Bob@Example.com")
    migration.lower(apps, None)
    emails = User.objects.order_by("pk").values_list("email", flat=True)
    unreachable = f"alice@example.com.duplicate-{duplicate.pk}.invalid"
    assert list(emails) == ["alice@example.com", "bob@example.com", unreachable]
