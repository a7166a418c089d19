"""Refunds of charges by staff."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext

from accounts.audit_log import record_event
from accounts.models import Action, UsageRecord
from accounts.usage import ledger


def refundable(records: QuerySet[UsageRecord]) -> QuerySet[UsageRecord]:
    """The charges among `records` that have not been refunded."""
    return records.filter(billed=True, audio_ms__gt=0, corrections=None)


def refund(request: HttpRequest, records: QuerySet[UsageRecord]) -> int:
    """Refund the charges among `records`, and record that in the audit log of their users.

    Each charge is refunded once, even by concurrent requests. Return the number of refunds.
    """
    return sum(_refund_one(request, record) for record in refundable(records))


def _refund_one(request: HttpRequest, record: UsageRecord) -> bool:
    """Return False if the charge was refunded in the meantime."""
    detail = gettext("Refunded %(minutes)s minutes.")
    detail %= {"minutes": f"{record.audio_ms / 60_000:.1f}"}
    try:
        with transaction.atomic():
            ledger.correct(record, gettext("Refunded by an administrator."))
            record_event(request, Action.ADMIN, detail, user_id=record.user_id)
    except IntegrityError:
        return False
    return True


def can_refund(request: HttpRequest) -> bool:
    """Whether the user may refund charges: staff who may change plans."""
    return bool(request.user.has_perm("accounts.change_plan"))


def refund_message(count: int) -> str:
    """The result of `refund`, for the user who requested it."""
    message = ngettext("%(count)d charge was refunded.", "%(count)d charges were refunded.", count)
    return message % {"count": count}
