"""Who uses the service: users who sign in with their e-mail address, and their API tokens."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import ClassVar, Self

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

TOKEN_PREFIX = "tk_"  # noqa: S105 - so that secret scanners and people recognise one


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        """A new user. Raises ValueError without an address."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> User:
        """A new user who may do everything in the admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        """Addresses are stored in lower case, however they are typed."""
        return self.get(email=(username or "").lower())


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


class User(AbstractUser):
    """A person, known by e-mail address alone."""

    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)
    # Empty: the default plan.
    plan = models.ForeignKey(
        Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="users"
    )
    # Days after which audio, or the whole recording with its transcript, is deleted; empty: never.
    keep_audio_days = models.PositiveIntegerField(null=True, blank=True)
    keep_days = models.PositiveIntegerField(null=True, blank=True)
    mail_when_ready = models.BooleanField(default=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.email

    @property
    def terms(self) -> Plan:
        """The plan that holds for this account; one without limits if the operator has none."""
        return self.plan or Plan.objects.filter(is_default=True).first() or Plan(name="Unlimited")


class Scope(models.TextChoices):
    """What a token may be used for."""

    READ = "transcriptions:read", "Read transcripts and recordings"
    WRITE = "transcriptions:write", "Upload, change and delete recordings"
    USAGE = "usage:read", "Read usage and cost"


class ApiToken(models.Model):
    """A key for programs. Only its hash is stored: the token itself is shown once, when made."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    # Shown in lists, so that people can tell tokens apart without knowing them.
    hint = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=40, choices=Scope), default=list)
    # Minutes of audio in a calendar month; empty: as many as its user has.
    monthly_minutes = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_address = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        verbose_name = "API token"
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @classmethod
    def issue(
        cls,
        user: User,
        name: str = "API token",
        scopes: Iterable[str] = tuple(Scope.values),
        days: int | None = None,
        monthly_minutes: int | None = None,
        request: HttpRequest | None = None,
    ) -> tuple[Self, str]:
        """A new token of `user`: the row, and the secret that can never be read again.

        It ends after `days`, and has `monthly_minutes` of audio, if given. The owner is told, even
        of one that was made without a `request`, at the machine itself.
        """
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        row = cls.objects.create(
            user=user,
            name=name,
            hint=secret[:8],
            digest=digest_of(secret),
            scopes=sorted(set(scopes)),
            expires_at=None if days is None else timezone.now() + timedelta(days=days),
            monthly_minutes=monthly_minutes,
        )
        note(request, Action.TOKEN_MADE, str(row), user_id=user.pk)
        return row, secret

    def revoke(self, request: HttpRequest) -> None:
        """It stops working at once, and its owner is told."""
        self.delete()
        note(request, Action.TOKEN_REVOKED, str(self), user_id=self.user_id)

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def touch(self, address: str | None = None) -> None:
        """Notes the use, at most once a minute: a busy program should not write on every call.
        An address that it was never used from goes into the audit log."""
        now = timezone.now()
        if self.last_used_address != address:
            self._moved(address)
        fresh = self.last_used_at and (now - self.last_used_at).total_seconds() <= 60
        if not fresh or self.last_used_address != address:
            type(self).objects.filter(pk=self.pk).update(
                last_used_at=now, last_used_address=address
            )

    def _moved(self, address: str | None) -> None:
        known = AuditEvent.objects.filter(
            user_id=self.user_id, action=Action.TOKEN_MOVED, address=address, detail=str(self)
        )
        if not known.exists():
            AuditEvent.objects.create(
                user_id=self.user_id, action=Action.TOKEN_MOVED, address=address, detail=str(self)
            )


def digest_of(secret: str) -> str:
    """SHA-256 in hex. The secret has 256 random bits, so a slow password hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


# These are modules of their own; Django looks for models here.
from accounts.audit import Action, AuditEvent, note  # noqa: E402
from accounts.invitations import Invitation  # noqa: E402
from accounts.ledger import UsageDay, UsageRecord  # noqa: E402
from accounts.marks import QuotaNotice  # noqa: E402

__all__ = [
    "Action",
    "ApiToken",
    "AuditEvent",
    "Invitation",
    "Plan",
    "QuotaNotice",
    "Scope",
    "UsageDay",
    "UsageRecord",
    "User",
    "digest_of",
]
