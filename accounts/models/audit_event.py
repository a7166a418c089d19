"""The audit log. Rows are only added: the database refuses anything else."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


class Action(models.TextChoices):
    """What the audit log records."""

    SIGNED_IN = "signed_in", "Signed in"
    SIGN_IN_FAILED = "sign_in_failed", "Sign-in failed"
    TOKEN_CREATED = "token_created", "API token created"
    TOKEN_REVOKED = "token_revoked", "API token revoked"
    TOKEN_NEW_ADDRESS = "token_new_address", "API token used from a new IP address"
    EXPORTED = "exported", "Transcript exported"
    DATA_EXPORTED = "data_exported", "Data exported"
    DELETED = "deleted", "Recording deleted"
    ACCOUNT_DELETED = "account_deleted", "Account deleted"
    ADMIN = "admin", "Changed by an administrator"
    PASSWORD = "password", "Password changed"
    EMAIL = "email", "Email address changed"
    MFA_CHANGED = "mfa_changed", "Two-factor authentication changed"
    CONNECTED_ACCOUNT = "connected_account", "Connected account changed"
    WEBHOOK = "webhook", "Webhook changed"


class AuditEvent(models.Model):
    """One recorded action."""

    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    # The account that it concerns. No database constraint: the log outlives the account.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, related_name="audit"
    )
    action = models.CharField(max_length=20, choices=Action)
    detail = models.CharField(max_length=300, blank=True)
    address = models.GenericIPAddressField(null=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [models.Index(fields=["user", "-created_at"], name="audit_of_user")]

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.detail}"
