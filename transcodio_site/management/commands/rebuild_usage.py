"""`manage.py rebuild_usage`: the sums by day, which quotas stand on, anew from the ledger."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from accounts.usage.rebuild import rebuild


class Command(BaseCommand):
    help = "Adds up the usage of every day anew from the ledger. Safe while the service runs."

    def handle(self, *args: Any, **options: Any) -> str:
        """Says what had to be mended."""
        wrong, written = rebuild()
        if not wrong and not written:
            return "Every day agrees with the ledger."
        return f"{wrong} rows did not agree with the ledger; {written} were written."
