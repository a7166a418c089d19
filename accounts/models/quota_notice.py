"""Which quota notices were sent."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class QuotaNotice(models.Model):
    """A threshold that a user was notified of in a month."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="quota_notices")
    month = models.DateField()  # its first day
    mark = models.PositiveSmallIntegerField()

    objects: ClassVar[models.Manager[QuotaNotice]] = models.Manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "month", "mark"], name="told_once"),
        ]

    def __str__(self) -> str:
        return f"{self.mark} % in {self.month:%B %Y}"
