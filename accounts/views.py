"""The settings pages of a signed-in person."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.audit import AuditEvent
from accounts.authentication import person
from accounts.forms import TokenForm
from accounts.models import ApiToken, Invitation
from accounts.usage import month_of


@never_cache
@require_GET
def invited(request: HttpRequest, code: str) -> HttpResponse:
    """The link of an invitation: on to the form, which knows the address already."""
    invitation = Invitation.of_code(code)
    if request.user.is_authenticated:
        messages.info(request, "You are signed in: sign out first to make another account.")
        return redirect("/")
    if invitation is None or settings.SIGNUP == "closed":
        return render(request, "accounts/invitation_expired.html", status=410)
    invitation.show(request)
    return redirect("account_signup")


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """Lists tokens and makes new ones. A secret is on the answer to the form and nowhere else."""
    form = TokenForm(request.POST or None)
    made: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        row, secret = ApiToken.issue(
            person(request),
            data["name"],
            data["scopes"],
            data["expiry"],
            data["monthly_minutes"],
            request,
        )
        form, made = TokenForm(), {"row": row, "secret": secret}
    rows = person(request).api_tokens.all()
    status = 400 if form.errors else 200
    context = {"form": form, "made": made, "tokens": rows}
    return render(request, "accounts/tokens.html", context, status=status)


@login_required
@require_POST
def revoke_token(request: HttpRequest, id: int) -> HttpResponse:
    """A stranger's token is as unknown as one that is gone."""
    row = person(request).api_tokens.filter(id=id).first()
    if row is None:
        raise Http404("There is no such token.")
    row.revoke(request)
    messages.success(request, f"The token “{row.name}” does not work any more.")
    return redirect("accounts:tokens")


@login_required
@require_GET
def activity(request: HttpRequest) -> HttpResponse:
    """The audit log of one's own account."""
    events = AuditEvent.objects.filter(user=person(request))
    page = Paginator(events, 50).get_page(request.GET.get("page"))
    return render(request, "accounts/activity.html", {"page": page})


@login_required
@require_GET
def usage(request: HttpRequest) -> HttpResponse:
    """This month: what was used, what is left, and when it renews."""
    user = person(request)
    return render(request, "accounts/usage.html", {"usage": month_of(user), "plan": user.terms})
