"""The settings pages of the signed-in user, and the link of an invitation."""

from __future__ import annotations

import uuid

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods

from accounts.authentication import authenticated_user
from accounts.confirmation import confirmation_page
from accounts.forms import TokenForm
from accounts.invitations import find_invitation, remember_invitation
from accounts.models import AuditEvent
from accounts.tokens import find_token, issue_token
from accounts.tokens import revoke_token as revoke
from accounts.usage.summary import usage_this_month

EVENTS_PER_PAGE = 50
SHOW_ONCE_COOKIE = "new_token"  # signed; with the secret of a token that was just created


@require_GET
def invited(request: HttpRequest, code: str) -> HttpResponse:
    """Open the link of an invitation: redirect to sign-up, where the address is filled in."""
    invitation = find_invitation(code)
    if request.user.is_authenticated:
        messages.info(request, gettext("Sign out first to create another account."))
        return redirect("/")
    if invitation is None or settings.SIGNUP == "closed":
        return render(request, "accounts/invitation_expired.html", status=410)
    remember_invitation(request, invitation)
    return redirect("account_signup")


@login_required
@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """List tokens and create new ones. The page that follows the form shows the secret once."""
    user = authenticated_user(request)
    form = TokenForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        _token, secret = issue_token(
            user, data["name"], data["scopes"], data["expiry"], data["monthly_minutes"], request
        )
        return _show_secret(secret)
    secret = request.get_signed_cookie(SHOW_ONCE_COOKIE, "") or ""
    created = find_token(secret) if secret else None
    if created and created.user != user:
        created = None
    status = 400 if form.errors else 200
    context = {"form": form, "created": created, "secret": secret, "tokens": user.api_tokens.all()}
    response = render(request, "accounts/tokens.html", context, status=status)
    if secret:
        response.delete_cookie(SHOW_ONCE_COOKIE, reverse("accounts:tokens"), samesite="Strict")
    return response


def _show_secret(secret: str) -> HttpResponse:
    """Redirect, so that reloading the page does not create another token. The secret is in a cookie
    until then: on the server only its hash is ever stored."""
    response = redirect("accounts:tokens")
    response.set_signed_cookie(
        SHOW_ONCE_COOKIE,
        secret,
        max_age=60,
        path=response.url,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
    return response


@login_required
@require_http_methods(["GET", "POST"])
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """Ask whether to revoke a token; POST revokes it.

    Raises Http404 for another user's token, as for one that does not exist.
    """
    token = authenticated_user(request).api_tokens.filter(id=token_id).first()
    if token is None:
        raise Http404(gettext("Token not found."))
    if request.method != "POST":
        return confirmation_page(
            request,
            gettext("Revoke “%(name)s”?") % {"name": token.name},
            [gettext("Programs that use this token can no longer sign in with it.")],
            action=gettext("Revoke"),
            back="accounts:tokens",
        )
    revoke(token, request)
    messages.success(request, gettext("Token “%(name)s” revoked.") % {"name": token.name})
    return redirect("accounts:tokens")


@login_required
@require_GET
def remove_email(request: HttpRequest, address_id: int) -> HttpResponse:
    """Ask whether to remove an email address. allauth's page, to which the form goes, removes it.

    Raises Http404 for an address of another user.
    """
    own = EmailAddress.objects.filter(user=authenticated_user(request), primary=False)
    address = get_object_or_404(own, id=address_id)
    return confirmation_page(
        request,
        gettext("Remove this email address?"),
        [address.email],
        action=gettext("Remove"),
        back="account_email",
        url=reverse("account_email"),
        fields={"action_remove": "", "email": address.email},
    )


@login_required
@require_GET
def end_sessions(request: HttpRequest) -> HttpResponse:
    """Ask whether to sign out everywhere else. allauth's page, to which the form goes, does so."""
    return confirmation_page(
        request,
        gettext("Sign out of all other sessions?"),
        [
            gettext(
                "All other browsers and devices will have to sign in again. "
                "This device stays signed in."
            )
        ],
        action=gettext("Sign out"),
        back="usersessions_list",
        url=reverse("usersessions_list"),
    )


@login_required
@require_GET
def activity(request: HttpRequest) -> HttpResponse:
    """The audit log of the user's own account."""
    user = authenticated_user(request)
    events = AuditEvent.objects.filter(user=user).select_related("actor")
    page = Paginator(events, EVENTS_PER_PAGE).get_page(request.GET.get("page"))
    recordings = user.transcriptions.filter(id__in={event.recording for event in page})
    titles: dict[uuid.UUID | None, str] = dict(recordings.values_list("id", "title"))
    context = {"page": page, "events": [(event, titles.get(event.recording)) for event in page]}
    return render(request, "accounts/activity.html", context)


@login_required
@require_GET
def usage(request: HttpRequest) -> HttpResponse:
    """Usage of this month, what is left of the quota, and when it resets."""
    user = authenticated_user(request)
    context = {"usage": usage_this_month(user), "plan": user.effective_plan}
    return render(request, "accounts/usage.html", context)
