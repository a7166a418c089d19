"""The page that asks before something is deleted. A link leads to it, and where scripts run,
`static/js/confirm-dialog.js` shows it as a dialog instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url


def confirmation_page(
    request: HttpRequest,
    question: str,
    lines: Sequence[str],
    *,
    action: str,
    back: str,
    url: str = "",
    fields: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Ask `question`; `lines` say what will happen.

    The button `action` sends `fields` to `url`, by default that of the request. Cancel leads to the
    view `back`.
    """
    context = {
        "question": question,
        "lines": lines,
        "action": action,
        "back": resolve_url(back),
        "url": url or request.path,
        "fields": fields or {},
    }
    return render(request, "settings/confirm.html", context)
