"""The webhook settings: endpoints, and the log of their deliveries."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.audit_log import record_event
from accounts.authentication import authenticated_user
from accounts.confirmation import confirmation_page
from accounts.models import Action
from transcriptions.webhooks import lifecycle, outbox, permissions
from transcriptions.webhooks.forms import EndpointForm
from transcriptions.webhooks.models import Endpoint

MAX_ENDPOINTS = 10  # per user
PER_PAGE = 25
SHOW_ONCE_KEY = "webhook_secret"  # in the session: the endpoint whose secret is shown once


@login_required
@require_http_methods(["GET", "POST"])
def endpoints(request: HttpRequest) -> HttpResponse:
    """List endpoints; POST adds one. A new secret is shown once."""
    own = permissions.webhooks_of(request.user)
    form = EndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if own.count() < MAX_ENDPOINTS:
            endpoint = own.create(owner=authenticated_user(request), **form.cleaned_data)
            record_event(request, Action.WEBHOOK, _detail(_("Added: %(url)s"), endpoint))
            messages.success(request, _("Webhook added."))
            return _show_secret(request, endpoint)
        form.add_error("url", _too_many_endpoints())
    status = 400 if form.errors else 200
    endpoint_with_secret = own.filter(id=request.session.pop(SHOW_ONCE_KEY, 0)).first()
    context = {
        "form": form,
        "endpoint_with_secret": endpoint_with_secret,
        "endpoints": own.all(),
    }
    return render(request, "webhooks/endpoints.html", context, status=status)


@login_required
@require_GET
def deliveries(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    """List the deliveries to one endpoint, newest first."""
    endpoint = permissions.webhook_for(request.user, endpoint_id)
    page = Paginator(endpoint.deliveries.all(), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "webhooks/deliveries.html", {"endpoint": endpoint, "page": page})


@login_required
@require_POST
def test(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    """Send a test event."""
    outbox.send_test(permissions.webhook_for(request.user, endpoint_id))
    return redirect("webhooks:deliveries", endpoint_id)


@login_required
@require_POST
def replay(request: HttpRequest, endpoint_id: int, delivery_id: uuid.UUID) -> HttpResponse:
    """Send a delivery again."""
    delivery = permissions.delivery_for(request.user, endpoint_id, delivery_id)
    outbox.replay(delivery)
    detail = _("Resent: %(message)s to %(url)s")
    detail %= {"message": delivery.message, "url": delivery.endpoint.url}
    record_event(request, Action.WEBHOOK, detail)
    return redirect("webhooks:deliveries", endpoint_id)


@login_required
@require_POST
def enable(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    """Enable an endpoint that was disabled by a response 410 Gone."""
    endpoint = permissions.webhook_for(request.user, endpoint_id)
    lifecycle.enable(endpoint)
    record_event(request, Action.WEBHOOK, _detail(_("Enabled: %(url)s"), endpoint))
    return redirect("webhooks:endpoints")


@login_required
@require_http_methods(["GET", "POST"])
def rotate(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    """Ask whether to replace the secret; POST replaces it."""
    endpoint = permissions.webhook_for(request.user, endpoint_id)
    if request.method != "POST":
        return confirmation_page(
            request,
            _("Rotate the secret?"),
            [
                endpoint.url,
                _(
                    "For 24 hours, requests are also signed with the old secret. "
                    "After that, it is invalid."
                ),
            ],
            action=_("Rotate secret"),
            back="webhooks:endpoints",
        )
    lifecycle.rotate_secret(endpoint)
    record_event(request, Action.WEBHOOK, _detail(_("Secret rotated: %(url)s"), endpoint))
    message = _("Secret rotated. Requests are also signed with the old secret for 24 hours.")
    messages.success(request, message)
    return _show_secret(request, endpoint)


@login_required
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    """Ask whether to delete an endpoint; POST deletes it with its log."""
    endpoint = permissions.webhook_for(request.user, endpoint_id)
    if request.method != "POST":
        return confirmation_page(
            request,
            _("Delete this webhook?"),
            [endpoint.url, _("Its secret and its deliveries will be deleted, too.")],
            action=_("Delete"),
            back="webhooks:endpoints",
        )
    record_event(request, Action.WEBHOOK, _detail(_("Deleted: %(url)s"), endpoint))
    endpoint.delete()
    messages.success(request, _("Webhook deleted."))
    return redirect("webhooks:endpoints")


def _show_secret(request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
    request.session[SHOW_ONCE_KEY] = endpoint.id
    return redirect("webhooks:endpoints")


def _detail(text: str, endpoint: Endpoint) -> str:
    return text % {"url": endpoint.url}


def _too_many_endpoints() -> str:
    text = _("You can have up to %(count)d webhooks. Delete one to add another.")
    return text % {"count": MAX_ENDPOINTS}
