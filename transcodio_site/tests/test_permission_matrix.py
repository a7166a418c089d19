"""The permission matrix is complete: it has every page, operation and WebSocket."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from allauth.account.views import EmailView
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.contrib import admin
from django.contrib.admindocs.views import BookmarkletsView, simplify_regex
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver, path
from django.views.generic import TemplateView
from ninja import NinjaAPI, Router
from ninja.operation import PathView

from transcodio_site.asgi import application
from transcodio_site.tests.test_permissions import ADMIN_MODELS, OPERATIONS, PAGES, SOCKETS
from transcriptions.realtime.routing import websocket_urlpatterns

# Views of libraries, which check permissions themselves: the modules and the pages.
LIBRARIES = ("ninja.", "allauth.", "django.contrib.", "django.views.generic.base")
# Its views only pass titles to those of Django. The admin site wraps them all in its own check.
OVER_LIBRARY = "accounts.admin_base"
ACCOUNT_PAGES = {
    *("login", "login/code/confirm", "logout", "signup", "inactive", "reauthenticate"),
    *("email", "confirm-email", "confirm-email/<key>", "sessions"),
    *("password/change", "password/set", "password/reset", "password/reset/done"),
    *("password/reset/key/<uidb36>-<key>", "password/reset/key/done"),
    *("2fa", "2fa/authenticate", "2fa/reauthenticate"),
    *("2fa/totp/activate", "2fa/totp/deactivate"),
    *(f"2fa/recovery-codes{page}" for page in ("", "/generate", "/download")),
    *(f"2fa/webauthn{page}" for page in ("", "/add", "/login", "/reauthenticate")),
    *("2fa/webauthn/keys/<int:pk>/edit", "2fa/webauthn/keys/<int:pk>/remove"),
    *("3rdparty", "3rdparty/signup", "3rdparty/login/cancelled", "3rdparty/login/error"),
    *("social/connections", "social/signup", "social/login/cancelled", "social/login/error"),
    *("oidc/<provider_id>/login", "oidc/<provider_id>/login/callback", "google/login/token"),
    *(f"{provider}/login" for provider in ("google", "github", "microsoft")),
    *(f"{provider}/login/callback" for provider in ("google", "github", "microsoft")),
}
ADMIN_MODEL_PAGES = (
    "",
    "add/",
    *(f"<path:object_id>/{p}" for p in ("", "change/", "delete/", "history/")),
)
ADMIN_PAGES = {
    *("", "login/", "logout/", "password_change/", "password_change/done/", "autocomplete/"),
    *("jsi18n/", "r/<path:content_type_id>/<path:object_id>/", "<app_label>/", "<url>"),
    *(f"{m.lower().replace('.', '/')}/{page}" for m in ADMIN_MODELS for page in ADMIN_MODEL_PAGES),
}
LIBRARY_PAGES = {
    *("api/", "api/openapi.json", "v1/"),
    *(f"accounts/{page}/" for page in ACCOUNT_PAGES),
    *(f"admin/{page}" for page in ADMIN_PAGES),
}


def routes(entries: Iterable[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    """All routes except for those in LIBRARY_PAGES, written as in the tables."""
    for entry in entries:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, route)
        elif methods := ninja_methods(entry.callback):
            plain = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)
            yield from (f"{method} /{plain}" for method in methods)
        elif not is_library_page(route, entry.callback):
            yield route


def ninja_methods(view: Callable[..., Any]) -> list[str]:
    """The methods of a django-ninja view, documented or not. The view is a closure."""
    cells = [cell.cell_contents for cell in getattr(view, "__closure__", None) or ()]
    paths = [cell for cell in cells if isinstance(cell, PathView)]
    return [m for path in paths for operation in path.operations for m in operation.methods]


def is_library_page(route: str, view: Callable[..., Any]) -> bool:
    """Whether the route is in LIBRARY_PAGES and its view is from a library."""
    function = view.func if isinstance(view, partial) else inspect.unwrap(view)
    module = getattr(view, "view_class", function).__module__
    is_library = module.startswith(LIBRARIES) or module == OVER_LIBRARY
    return simplify_regex(route)[1:] in LIBRARY_PAGES - PAGES.keys() and is_library


def test_matrix_has_every_page_and_operation() -> None:
    assert set(routes(get_resolver().url_patterns)) == {*PAGES, *OPERATIONS}


def unprotected_view(request: HttpRequest, **_: Any) -> HttpResponse:
    """A new view without a permission check."""
    return HttpResponse()


def test_new_page_is_detected_under_every_prefix() -> None:
    new = ["dump/", "api/dump/", "v1/dump", "accounts/dump/<id:id>/", "admin/dump/"]
    added = [path(route, unprotected_view) for route in new]
    added.append(path("admin/accounts/plan/dump/", admin.site.admin_view(unprotected_view)))
    detected = set(routes(added))
    assert detected == {*new, "admin/accounts/plan/dump/"}


def test_new_library_page_is_detected() -> None:
    added = {
        "accounts/dump/": TemplateView.as_view(template_name="base.html"),
        "accounts/more/": EmailView.as_view(),
        "admin/doc/": BookmarkletsView.as_view(),
        "admin/login/": unprotected_view,  # one of our views with the route of a library page
    }
    assert set(routes(path(*pair) for pair in added.items())) == set(added)


def test_new_operation_is_detected_under_every_prefix() -> None:
    root, router = NinjaAPI(urls_namespace="dump"), Router()
    root.get("/dump", include_in_schema=False, auth=None)(unprotected_view)
    router.api_operation(["POST", "PUT"], "/dump")(unprotected_view)
    root.add_router("/deep", router)
    detected = set(routes([path("api/more/", root.urls)]))
    deep = {"POST /api/more/deep/dump", "PUT /api/more/deep/dump"}
    documentation = {f"api/more/{page}" for page in ("", "docs", "openapi.json")}
    assert detected == {"GET /api/more/dump", *deep, *documentation}


def sockets(app: Any) -> set[str]:
    """All WebSocket routes, under whatever middleware."""
    while not isinstance(app, URLRouter):
        app = getattr(app, "inner", None) or app.application
    return {str(entry.pattern) for entry in app.routes}


def test_matrix_has_every_websocket() -> None:
    refused = ""  # any other path
    routes_of_site = sockets(application.application_mapping["websocket"])
    assert routes_of_site == {*SOCKETS, refused}
    added = URLRouter([*websocket_urlpatterns, path("ws/dump/", unprotected_view)])
    own = {str(entry.pattern) for entry in websocket_urlpatterns}
    assert sockets(AllowedHostsOriginValidator(added)) == {*own, "ws/dump/"}
