"""Storage that an account uses."""

from __future__ import annotations

from django.db.models import Sum

from accounts.models import Plan, User

BYTES_PER_MB = 1024 * 1024


def stored_bytes(user: User) -> int:
    """Bytes of all uploads that are kept. The audio prepared from them is temporary, and does not
    count."""
    uploads = user.transcriptions.exclude(source="")
    return uploads.aggregate(sum=Sum("source_bytes"))["sum"] or 0


def max_stored_bytes(plan: Plan) -> int | None:
    """The limit of the plan in bytes; None without a limit."""
    return None if plan.max_storage_mb is None else plan.max_storage_mb * BYTES_PER_MB
