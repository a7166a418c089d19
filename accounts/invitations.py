"""Invitations: a letter with a link by which one address, and no other, may make an account."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Self

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core import signing
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts import letters

if TYPE_CHECKING:
    from accounts.models import User

DAYS = 7  # how long a link works
SESSION_KEY = "invitation"
_signer = signing.TimestampSigner(salt="invitation")


class Invitation(models.Model):
    """One address that may come in. To delete the row is to take the invitation back."""

    email = models.EmailField("e-mail address", unique=True)
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

    @property
    def link(self) -> str:
        """The address of the page that lets them in, made anew, good for DAYS from now."""
        path = reverse("invited", args=[_signer.sign(str(self.pk))])
        return f"{settings.SITE_URL}{path}"

    def send(self) -> None:
        """Writes the letter. Raises OSError if it cannot be sent."""
        row = type(self).objects.filter(pk=self.pk)
        # Until it has gone this is as good as new: its link may be passed on by hand.
        row.update(created_at=timezone.now(), sent_at=None)
        subject = "Your invitation to Transcodio"
        letters.send(self.email, subject, "invitation", invitation=self, link=self.link, days=DAYS)
        row.update(sent_at=timezone.now())

    @classmethod
    def of_code(cls, code: str) -> Self | None:
        """That of a link, or None if the link is wrong, too old, used, or taken back."""
        try:
            pk = _signer.unsign(code, max_age=DAYS * 24 * 3600)
        except signing.BadSignature:
            return None
        return cls.open().filter(pk=pk).first()

    @classmethod
    def open(cls) -> models.QuerySet[Self]:
        """Those that can still be followed."""
        since = timezone.now() - timedelta(days=DAYS)
        sent = Q(sent_at__gte=since) | Q(sent_at=None, created_at__gte=since)
        return cls.objects.filter(sent, accepted_at=None)

    @classmethod
    def of(cls, request: HttpRequest) -> Self | None:
        """That of the visitor who has followed a link in this session."""
        pk = request.session.get(SESSION_KEY)
        return cls.open().filter(pk=pk).first() if pk else None

    def show(self, request: HttpRequest) -> None:
        """The visitor has come by the link: who can read that letter owns the address."""
        request.session[SESSION_KEY] = self.pk
        get_adapter(request).stash_verified_email(request, self.email)


def accept(sender: object, request: HttpRequest, user: User, **_: object) -> None:
    """Heard when somebody has signed up: who was invited gets the plan they were promised."""
    from allauth.account.models import EmailAddress  # needs the user model, as we do

    request.session.pop(SESSION_KEY, None)
    addresses = EmailAddress.objects.filter(user=user, verified=True)
    proven = addresses.values_list("email", flat=True)
    invitation = Invitation.open().filter(email__in=proven).first()
    if invitation:
        user.plan = invitation.plan
        user.save(update_fields=["plan"])
        invitation.accepted_at = timezone.now()
        invitation.save(update_fields=["accepted_at"])
