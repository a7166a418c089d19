"""`manage.py rebuild_usage`: recomputes the daily totals, which quotas use, from the ledger."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from accounts.usage.rebuild import rebuild


class Command(BaseCommand):
    help = "Rebuilds the daily usage from the ledger. Safe while the service runs."

    def handle(self, *args: Any, **options: Any) -> str:
        """Print how many rows were corrected."""
        wrong, written = rebuild()
        if not wrong and not written:
            return "All daily rows match the ledger."
        return f"{wrong} rows did not match the ledger. {written} rows were written."
