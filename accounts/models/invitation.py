"""Invitations."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

INVITATION_DAYS = 7  # lifetime of a link


class Invitation(models.Model):
    """An email address that may sign up. Deleting the row revokes the invitation."""

    email = models.EmailField(_("email address"), unique=True)
    plan = models.ForeignKey("accounts.Plan", null=True, blank=True, on_delete=models.SET_NULL)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="invitations"
    )
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="lower_case"),
        ]

    def __str__(self) -> str:
        return self.email

    @classmethod
    def pending(cls) -> models.QuerySet[Self]:
        """Invitations that can still be accepted."""
        since = timezone.now() - timedelta(days=INVITATION_DAYS)
        sent = Q(sent_at__gte=since) | Q(sent_at=None, created_at__gte=since)
        return cls.objects.filter(sent, accepted_at=None)
