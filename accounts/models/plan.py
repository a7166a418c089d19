"""Plans."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Plan(models.Model):
    """Limits and price of an account. Empty means no limit; the limits of the installation
    (MAX_FILE_SIZE_MB, MAX_DURATION_SECONDS) also apply."""

    name = models.CharField(max_length=60, unique=True)
    monthly_minutes = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Minutes of audio per calendar month (UTC)")
    )
    max_file_mb = models.PositiveIntegerField(_("maximum file size (MB)"), null=True, blank=True)
    max_minutes = models.PositiveIntegerField(
        _("maximum duration (minutes)"), null=True, blank=True
    )
    max_storage_mb = models.PositiveIntegerField(
        _("maximum storage (MB)"),
        null=True,
        blank=True,
        help_text=_("Total size of all stored uploads"),
    )
    max_jobs = models.PositiveIntegerField(_("concurrent jobs"), null=True, blank=True)
    queue_weight = models.PositiveSmallIntegerField(
        _("weight in the queue"),
        default=1,
        db_default=1,
        validators=[MinValueValidator(1)],
        help_text=_("An account with 2 gets twice as many turns as one with 1"),
    )
    max_keep_days = models.PositiveIntegerField(
        _("retention (days)"),
        null=True,
        blank=True,
        help_text=_("Recordings are deleted after this time"),
    )
    price_cents = models.PositiveIntegerField(_("monthly price (US cents)"), default=0)
    is_default = models.BooleanField(default=False, help_text=_("For all accounts without a plan"))

    class Meta:
        ordering: ClassVar = ["price_cents", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="one_default_plan"
            ),
            models.CheckConstraint(condition=Q(queue_weight__gte=1), name="plan_has_queue_weight"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def price(self) -> float:
        """US dollars per month."""
        return self.price_cents / 100
