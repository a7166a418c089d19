"""The settings pages of the signed-in user, and the link of an invitation."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.authentication import authenticated_user
from accounts.forms import TokenForm
from accounts.invitations import find_invitation, remember_invitation
from accounts.models import AuditEvent
from accounts.tokens import issue_token
from accounts.tokens import revoke_token as revoke
from accounts.usage.summary import usage_this_month

EVENTS_PER_PAGE = 50


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
    """List tokens and create new ones. Only the response to the form contains the secret."""
    form = TokenForm(request.POST or None)
    created: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        token, secret = issue_token(
            authenticated_user(request),
            data["name"],
            data["scopes"],
            data["expiry"],
            data["monthly_minutes"],
            request,
        )
        form, created = TokenForm(), {"token": token, "secret": secret}
    rows = authenticated_user(request).api_tokens.all()
    status = 400 if form.errors else 200
    context = {"form": form, "created": created, "tokens": rows}
    return render(request, "accounts/tokens.html", context, status=status)


@login_required
@require_POST
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """Revoke a token. Raises Http404 for another user's token, as for one that does not exist."""
    token = authenticated_user(request).api_tokens.filter(id=token_id).first()
    if token is None:
        raise Http404(gettext("Token not found."))
    revoke(token, request)
    messages.success(request, gettext("Token “%(name)s” revoked.") % {"name": token.name})
    return redirect("accounts:tokens")


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
