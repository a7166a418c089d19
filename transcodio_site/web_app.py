"""Transcodio as an installed app: the manifest, the service worker, and the offline page.

All three are the same for everyone. What a browser keeps for an account is never in a response:
see static/js/offline-store.js.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils.cache import patch_cache_control, set_response_etag
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from transcodio_site.response_headers import WORKER_POLICY
from transcodio_site.static_files import imported_by
from transcriptions.permissions import visible_to

SCRIPTS = ("js/web-app.js", "js/offline-page.js")
SHELL = (  # what the offline page loads
    *("css/base.css", "css/transcript-text.css", "css/offline.css", "css/print.css"),
    *SCRIPTS,
    *imported_by(*SCRIPTS),
    *("img/favicon.svg", "img/icon-192.png"),
)
WORKER = "js/service-worker.js"
MAX_IDS = 50  # as many as static/js/offline-copy.js keeps
SHARED = "file"  # the field of the form in which the system shares files with the app
BACKGROUND = "#faf9f6"  # --background in base.css, which has one for dark mode, too


@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    """The web app manifest."""
    library = reverse("transcriptions:library")
    content = {
        "id": library,
        "name": "Transcodio",
        "short_name": "Transcodio",
        "description": _("Turn recordings into text, live."),
        "start_url": library,
        "scope": "/",
        "display": "standalone",
        "background_color": BACKGROUND,
        "theme_color": BACKGROUND,
        "categories": ["productivity"],
        "share_target": {
            "action": reverse("share"),
            "method": "POST",
            "enctype": "multipart/form-data",
            "params": {"files": [{"name": SHARED, "accept": ["audio/*", "video/*"]}]},
        },
        "icons": [
            _icon("favicon.svg", "any", "any"),
            _icon("icon-192.png", "192x192", "any"),
            _icon("icon-512.png", "512x512", "any"),
            _icon("icon-maskable-512.png", "512x512", "maskable"),
        ],
        "shortcuts": [
            _shortcut(_("Upload"), f"{library}#upload"),
            _shortcut(_("Record"), reverse("record")),
            _shortcut(_("Library"), f"{library}#library"),
            _shortcut(_("Offline transcripts"), reverse("offline")),
        ],
    }
    body = json.dumps(content, ensure_ascii=False)
    return _revalidated(HttpResponse(body, content_type="application/manifest+json"))


def _icon(name: str, sizes: str, purpose: str) -> dict[str, str]:
    kind = "image/svg+xml" if name.endswith(".svg") else "image/png"
    return {"src": static(f"img/{name}"), "sizes": sizes, "type": kind, "purpose": purpose}


def _shortcut(name: str, url: str) -> dict[str, object]:
    return {"name": name, "url": url, "icons": [_icon("icon-192.png", "192x192", "any")]}


@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:
    """The service worker. Because of its path it serves the whole site, and its content changes
    with every file that it caches, which is how browsers notice a new version."""
    page = reverse("offline")
    options = {
        "version": _version(),
        "files": [*map(static, SHELL), page],
        "page": page,
        "signOut": reverse("account_logout"),
        "share": reverse("share"),
        "shared": SHARED,
    }
    script = f'import {{ start }} from "{static(WORKER)}";\nstart({json.dumps(options)});\n'
    response = HttpResponse(script, content_type="text/javascript; charset=utf-8")
    response.headers["Content-Security-Policy"] = WORKER_POLICY
    return _revalidated(response)


def _version() -> str:
    """A hash of everything that the service worker caches or imports."""
    digest = hashlib.sha256(_offline_page().encode())
    for name in (*SHELL, WORKER):
        digest.update(Path(str(finders.find(name))).read_bytes())
    return digest.hexdigest()[:12]


@require_safe
def offline_page(request: HttpRequest) -> HttpResponse:
    """The page that is shown instead of others when there is no connection."""
    return _revalidated(HttpResponse(_offline_page()))


def _offline_page() -> str:
    return render_to_string("offline.html")


def _revalidated(response: HttpResponse) -> HttpResponse:
    """Let browsers and caches keep the response, and ask for a new version each time."""
    patch_cache_control(response, public=True, no_cache=True)
    set_response_etag(response)
    return response


@csrf_exempt  # the operating system's form has no token; nothing is stored here
@require_http_methods(["GET", "HEAD", "POST"])
def share(request: HttpRequest) -> HttpResponse:
    """The page that an installed app opens when files are shared with it. The service worker keeps
    the files, and the library uploads them. Normally the service worker answers this POST itself;
    this view is called if the browser has stopped it."""
    library = reverse("transcriptions:library")
    if request.method == "POST" or "failed" in request.GET:
        message = _("The file that you shared could not be received. Choose it here instead.")
        messages.error(request, message)
    elif not request.user.is_authenticated:
        messages.info(request, _("Sign in to upload the file that you shared."))
    if request.user.is_authenticated:
        return HttpResponseRedirect(library, status=303)
    login = f"{reverse('account_login')}?{urlencode({'next': library})}"
    return HttpResponseRedirect(login, status=303)


@require_safe
def offline_state(request: HttpRequest) -> HttpResponse:
    """Who is signed in, and which of `ids` are still their recordings: the browser deletes its
    copies of all others."""
    ids = []
    for value in request.GET.get("ids", "").split(",")[:MAX_IDS]:
        with suppress(ValueError):
            ids.append(uuid.UUID(value))
    rows = visible_to(request.user).filter(id__in=ids) if ids else ()
    account = str(request.user.pk or "")
    return JsonResponse({"account": account, "existing": [str(row.id) for row in rows]})
