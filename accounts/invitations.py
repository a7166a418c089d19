"""Invitations: an e-mail with a link that lets one address, and no other, sign up."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts import email
from accounts.models import INVITATION_DAYS, Invitation, User

SESSION_KEY = "invitation"
_signer = signing.TimestampSigner(salt="invitation")


def invitation_link(invitation: Invitation) -> str:
    """A new link to the sign-up page, valid for INVITATION_DAYS."""
    path = reverse("invited", args=[_signer.sign(str(invitation.pk))])
    return f"{settings.SITE_URL}{path}"


def send_invitation(invitation: Invitation) -> None:
    """Sends the e-mail. Raises OSError if it cannot be sent."""
    row = Invitation.objects.filter(pk=invitation.pk)
    # Valid even before it was sent: the link may be passed on by hand.
    row.update(created_at=timezone.now(), sent_at=None)
    context = {
        "invitation": invitation,
        "link": invitation_link(invitation),
        "days": INVITATION_DAYS,
    }
    email.send(invitation.email, "Your invitation to Transcodio", "invitation", **context)
    row.update(sent_at=timezone.now())


def find_invitation(code: str) -> Invitation | None:
    """The invitation of a link, or None if the link is wrong, expired, used, or revoked."""
    try:
        pk = _signer.unsign(code, max_age=INVITATION_DAYS * 24 * 3600)
    except signing.BadSignature:
        return None
    return Invitation.open().filter(pk=pk).first()


def invitation_in_session(request: HttpRequest) -> Invitation | None:
    """The invitation whose link was followed in this session."""
    pk = request.session.get(SESSION_KEY)
    return Invitation.open().filter(pk=pk).first() if pk else None


def remember_invitation(request: HttpRequest, invitation: Invitation) -> None:
    """The visitor followed the link, which proves that the address is theirs."""
    request.session[SESSION_KEY] = invitation.pk
    get_adapter(request).stash_verified_email(request, invitation.email)


def accept_invitation(sender: object, request: HttpRequest, user: User, **_: object) -> None:
    """Receiver of `user_signed_up`: the new user gets the plan of the invitation."""
    request.session.pop(SESSION_KEY, None)
    verified = EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True)
    invitation = Invitation.open().filter(email__in=verified).first()
    if invitation:
        user.plan = invitation.plan
        user.save(update_fields=["plan"])
        invitation.accepted_at = timezone.now()
        invitation.save(update_fields=["accepted_at"])
