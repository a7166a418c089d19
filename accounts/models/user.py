"""Users, who sign in with their email address."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models.plan import Plan


class UserManager(BaseUserManager["User"]):
    """Creates users by email address."""

    use_in_migrations = True

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """The address in lower case, as allauth looks it up. Forms call this too."""
        return super().normalize_email(email).lower()

    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        """Create a user. Raises ValueError without an email address."""
        if not email:
            raise ValueError("A user needs an email address.")
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> User:
        """Create a superuser."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        """Find a user by email address in any case: addresses are stored in lower case."""
        return self.get(email=self.normalize_email(username))


class User(AbstractUser):
    """A user, identified by email address instead of user name."""

    username = None  # type: ignore[assignment]
    email = models.EmailField(_("email address"), unique=True)
    # Empty: the default plan applies.
    plan = models.ForeignKey(
        Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="users"
    )
    # Days until audio, or the whole recording with its transcript, is deleted; empty: never.
    keep_audio_days = models.PositiveIntegerField(null=True, blank=True)
    keep_days = models.PositiveIntegerField(null=True, blank=True)
    email_when_ready = models.BooleanField(default=True)
    # Names and terms in recordings, as they are spelled, the most important ones first.
    vocabulary = ArrayField(
        models.CharField(max_length=100), default=list, db_default=[], blank=True
    )

    # Whether the speakers of recordings are detected, if an upload does not say.
    detect_speakers = models.BooleanField(default=False, db_default=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    class Meta(AbstractUser.Meta):
        constraints: ClassVar = [
            # In any other case, allauth would not find the user, and it could exist twice.
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="lower_case_email"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def effective_plan(self) -> Plan:
        """The user's plan, or else the default plan, or else an unsaved plan without limits.

        Read once for each instance, like all related objects.
        """
        return self.plan or self._default_plan

    @cached_property
    def _default_plan(self) -> Plan:
        plan = Plan.objects.filter(is_default=True).first()
        return plan or Plan(name=gettext("Unlimited"))
