"""The settings page of webhooks: endpoints, and the log of what was sent to them."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.audit_log import record_event
from accounts.authentication import authenticated_user
from accounts.models import Action
from transcriptions.webhooks import outbox, permissions
from transcriptions.webhooks.forms import EndpointForm
from transcriptions.webhooks.models import Endpoint

MOST = 10  # endpoints of one user
PER_PAGE = 25
SHOWN = "webhook_secret"  # in the session: whose secret the next page shows, and no page after it


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def endpoints(request: HttpRequest) -> HttpResponse:
    """Lists endpoints, and makes new ones. A new secret is shown once."""
    mine = permissions.webhooks_of(request.user)
    form = EndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if mine.count() < MOST:
            row = mine.create(owner=authenticated_user(request), **form.cleaned_data)
            record_event(request, Action.WEBHOOK, f"Added: {row.url}")
            messages.success(request, "From now on we will post to that address.")
            return _secret_shown(request, row)
        form.add_error("url", f"There are {MOST} addresses already: delete one of them.")
    status = 400 if form.errors else 200
    made = mine.filter(id=request.session.pop(SHOWN, 0)).first()
    context = {"form": form, "made": made, "endpoints": mine.all()}
    return render(request, "webhooks/endpoints.html", context, status=status)


def _secret_shown(request: HttpRequest, row: Endpoint) -> HttpResponse:
    request.session[SHOWN] = row.id
    return redirect("webhooks:endpoints")


@login_required
@require_GET
def deliveries(request: HttpRequest, id: int) -> HttpResponse:
    """What was sent to one endpoint, newest first."""
    endpoint = permissions.webhook_for(request.user, id)
    page = Paginator(endpoint.deliveries.all(), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "webhooks/deliveries.html", {"endpoint": endpoint, "page": page})


@login_required
@require_POST
def test(request: HttpRequest, id: int) -> HttpResponse:
    """Sends something that means nothing."""
    outbox.send_test(permissions.webhook_for(request.user, id))
    return redirect("webhooks:deliveries", id)


@login_required
@require_POST
def replay(request: HttpRequest, id: int, delivery: uuid.UUID) -> HttpResponse:
    """Sends a message once more."""
    row = permissions.delivery_for(request.user, id, delivery)
    outbox.replay(row)
    record_event(request, Action.WEBHOOK, f"Sent again: {row.message} to {row.endpoint.url}")
    return redirect("webhooks:deliveries", id)


@login_required
@require_POST
def enable(request: HttpRequest, id: int) -> HttpResponse:
    """Posts again to an endpoint that had answered that it is gone."""
    row = permissions.webhook_for(request.user, id)
    row.enable()
    record_event(request, Action.WEBHOOK, f"Turned on: {row.url}")
    return redirect("webhooks:endpoints")


@login_required
@require_POST
def rotate(request: HttpRequest, id: int) -> HttpResponse:
    """A new secret, for one that was lost or seen by others."""
    row = permissions.webhook_for(request.user, id)
    row.rotate()
    record_event(request, Action.WEBHOOK, f"New secret: {row.url}")
    messages.success(request, "For 24 hours messages are signed with the old secret as well.")
    return _secret_shown(request, row)


@login_required
@require_POST
def delete(request: HttpRequest, id: int) -> HttpResponse:
    """With its log."""
    row = permissions.webhook_for(request.user, id)
    record_event(request, Action.WEBHOOK, f"Deleted: {row.url}")
    row.delete()
    messages.success(request, "We will not post to that address any more.")
    return redirect("webhooks:endpoints")
