"""Plans."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class Plan(models.Model):
    """What an account may use, and what that costs. An empty limit is none of the plan's own:
    those of the installation (MAX_FILE_SIZE_MB, MAX_DURATION_SECONDS) hold in any case."""

    name = models.CharField(max_length=60, unique=True)
    monthly_minutes = models.PositiveIntegerField(
        null=True, blank=True, help_text="Minutes of audio in a calendar month (UTC)"
    )
    max_file_mb = models.PositiveIntegerField("largest file (MB)", null=True, blank=True)
    max_minutes = models.PositiveIntegerField("longest recording (minutes)", null=True, blank=True)
    max_jobs = models.PositiveIntegerField("jobs at once", null=True, blank=True)
    max_keep_days = models.PositiveIntegerField(
        "recordings are kept (days)", null=True, blank=True, help_text="Deleted after that"
    )
    price_cents = models.PositiveIntegerField("price a month (US cents)", default=0)
    is_default = models.BooleanField(
        default=False, help_text="For all accounts that have no plan of their own"
    )

    class Meta:
        ordering: ClassVar = ["price_cents", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="one_default_plan"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def price(self) -> float:
        """US dollars a month."""
        return self.price_cents / 100
