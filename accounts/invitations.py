"""Invitations: an email with a link that lets only one email address sign up."""

from __future__ import annotations

from datetime import timedelta

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from accounts import email
from accounts.models import INVITATION_DAYS, Invitation, User

SESSION_KEY = "invitation"
RETENTION = timedelta(days=30)
_signer = signing.TimestampSigner(salt="invitation")


def invitation_link(invitation: Invitation) -> str:
    """Create a link to the sign-up page, valid for INVITATION_DAYS."""
    path = reverse("invited", args=[_signer.sign(str(invitation.pk))])
    return f"{settings.SITE_URL}{path}"


def send_invitation(invitation: Invitation) -> None:
    """Send the email. Raises OSError if that fails."""
    row = Invitation.objects.filter(pk=invitation.pk)
    # Valid even if sending fails: the link can be passed on by hand.
    row.update(created_at=timezone.now(), sent_at=None)
    context = {
        "invitation": invitation,
        "link": invitation_link(invitation),
        "days": INVITATION_DAYS,
    }
    subject = gettext("Your invitation to Transcodio")
    email.send(invitation.email, subject, "invitation", **context)
    row.update(sent_at=timezone.now())


def delete_old() -> None:
    """Delete invitations that were accepted, or last sent, more than RETENTION ago: the email
    address of a person without an account is not kept."""
    before = timezone.now() - RETENTION
    Invitation.objects.filter(created_at__lt=before, accepted_at=None).delete()
    Invitation.objects.filter(accepted_at__lt=before).delete()


def find_invitation(code: str) -> Invitation | None:
    """Find the invitation of a link; None if the link is invalid, expired, used or revoked."""
    try:
        pk = _signer.unsign(code, max_age=INVITATION_DAYS * 24 * 3600)
    except signing.BadSignature:
        return None
    return Invitation.pending().filter(pk=pk).first()


def invitation_in_session(request: HttpRequest) -> Invitation | None:
    """The pending invitation whose link was opened in this session, or None."""
    pk = request.session.get(SESSION_KEY)
    return Invitation.pending().filter(pk=pk).first() if pk else None


def remember_invitation(request: HttpRequest, invitation: Invitation) -> None:
    """Store in the session that the visitor opened the link, which verifies the address."""
    request.session[SESSION_KEY] = invitation.pk
    get_adapter(request).stash_verified_email(request, invitation.email)


def accept_invitation(sender: object, request: HttpRequest, user: User, **kwargs: object) -> None:
    """Receiver of `user_signed_up`: give the new user the plan of the invitation."""
    request.session.pop(SESSION_KEY, None)
    verified = EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True)
    invitation = Invitation.pending().filter(email__in=verified).first()
    if invitation:
        user.plan = invitation.plan
        user.save(update_fields=["plan"])
        invitation.accepted_at = timezone.now()
        invitation.save(update_fields=["accepted_at"])
