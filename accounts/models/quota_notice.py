"""Quota notices that were sent."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class QuotaNotice(models.Model):
    """A threshold of the monthly quota that a user was notified of."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="quota_notices")
    month = models.DateField()  # its first day
    threshold = models.PositiveSmallIntegerField()  # percent

    objects: ClassVar[models.Manager[QuotaNotice]] = models.Manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "month", "threshold"], name="one_notice_per_threshold"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.threshold}% in {self.month:%B %Y}"
