"""Giving back what was charged."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.audit_log import record_event
from accounts.models import Action, UsageRecord
from accounts.usage import ledger


def open_charges(rows: QuerySet[UsageRecord]) -> QuerySet[UsageRecord]:
    """Those of them that can be given back."""
    return rows.filter(billed=True, audio_ms__gt=0, corrections=None)


def refund(request: HttpRequest, rows: QuerySet[UsageRecord]) -> int:
    """Gives back the charges among them, each once, however many ask for it at the same time.
    Their owners are told in the audit log. Returns how many it were."""
    return sum(_refunded(request, row) for row in open_charges(rows))


def _refunded(request: HttpRequest, row: UsageRecord) -> bool:
    said = f"{request.user} refunded {row.audio_ms / 60_000:.1f} minutes."
    try:
        with transaction.atomic():
            ledger.correct(row, f"Refunded by {request.user}.")
            record_event(request, Action.ADMIN, said, user_id=row.user_id)
    except IntegrityError:  # somebody was quicker
        return False
    return True


def may_refund(request: HttpRequest) -> bool:
    """Who may change plans may give back what they charged."""
    return bool(request.user.has_perm("accounts.change_plan"))


def sentence(count: int) -> str:
    """What is said to who asked for it."""
    return "1 charge was taken back." if count == 1 else f"{count} charges were taken back."
