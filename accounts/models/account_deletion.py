"""Accounts that are being deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


class AccountDeletion(models.Model):
    """An account that is being deleted, from the request of its owner or an administrator until its
    last row has been deleted. This row is deleted with the account."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="deletion",
    )
    requested_at = models.DateTimeField(default=timezone.now)
    # While a task works on it. After that, the periodic task enqueues another one.
    lease_until = models.DateTimeField(default=timezone.now, db_index=True)

    objects: ClassVar[models.Manager[AccountDeletion]] = models.Manager()

    def __str__(self) -> str:
        return str(self.user_id)

    @classmethod
    def without_lease(cls) -> models.QuerySet[AccountDeletion]:
        """Deletions that no task is working on."""
        return cls.objects.filter(lease_until__lte=timezone.now())

    @classmethod
    def claim(cls, user_id: int) -> AccountDeletion | None:
        """Take the lease. Return None if another task has it, or nothing is left to delete."""
        rows = cls.without_lease().filter(user=user_id)
        lease = timedelta(seconds=settings.LEASE_SECONDS)
        claimed = rows.update(lease_until=timezone.now() + lease)
        return cls.objects.filter(user=user_id).first() if claimed else None

    def release(self, delay: timedelta = timedelta()) -> None:
        """Let the next task continue, after `delay`."""
        rows = AccountDeletion.objects.filter(user=self.user_id)
        rows.update(lease_until=timezone.now() + delay)
