"""The audit log. A database trigger refuses updates and deletes, with two exceptions:
`accounts.audit_log.delete_expired` and `accounts.audit_log.pseudonymize`.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Action(models.TextChoices):
    """What the audit log records."""

    SIGNED_IN = "signed_in", _("Signed in")
    SIGN_IN_FAILED = "sign_in_failed", _("Sign-in failed")
    TOKEN_CREATED = "token_created", _("API token created")
    TOKEN_REVOKED = "token_revoked", _("API token revoked")
    TOKEN_NEW_ADDRESS = "token_new_address", _("API token used from a new IP address")
    UPLOADED = "uploaded", _("Recording added")
    EDITED = "edited", _("Transcript edited")
    EXPORTED = "exported", _("Transcript exported")
    DATA_EXPORTED = "data_exported", _("Data exported")
    DELETED = "deleted", _("Recording deleted")
    ACCOUNT_DELETED = "account_deleted", _("Account deleted")
    ADMIN = "admin", _("Changed by an administrator")
    PASSWORD = "password", _("Password changed")
    EMAIL = "email", _("Email address changed")
    EMAIL_CONFIRMED = "email_confirmed", _("Email address confirmed")
    MFA_CHANGED = "mfa_changed", _("Two-factor authentication changed")
    CONNECTED_ACCOUNT = "connected_account", _("Connected account changed")
    WEBHOOK = "webhook", _("Webhook changed")
    VOICE = "voice", _("Voice changed")


class AuditEvent(models.Model):
    """One recorded action."""

    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    # The account concerned, and who acted on it, if that was someone else. No database constraints:
    # the log outlives the accounts. When one is deleted, a random pseudonym takes its place.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        related_name="audit",
    )
    pseudonym = models.UUIDField(null=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        related_name="actions",
    )
    actor_pseudonym = models.UUIDField(null=True)
    action = models.CharField(max_length=20, choices=Action)
    # The recording concerned. Its title is never copied, and so is deleted with the recording.
    recording = models.UUIDField(null=True)
    detail = models.CharField(max_length=300, blank=True)
    address = models.GenericIPAddressField(_("IP address"), null=True)

    class Meta:
        verbose_name_plural = _("audit log")
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [models.Index(fields=["user", "-created_at"], name="audit_of_user")]

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.detail}"
