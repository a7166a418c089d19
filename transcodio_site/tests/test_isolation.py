"""Who may do what: every address there is, times everybody there is.

The tables name every page and every operation. A new one fails here until somebody has said who may
use it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest
from allauth.account.views import EmailView
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.contrib import admin
from django.contrib.admindocs.views import BookmarkletsView, simplify_regex
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, path
from django.utils import timezone
from django.views.generic import TemplateView
from ninja import NinjaAPI, Router
from ninja.operation import PathView

from accounts.invitations import invitation_link
from accounts.models import ApiToken, Invitation, Scope, User
from accounts.tokens import issue_token
from transcodio_site.asgi import application
from transcriptions.models import Segment, State, Transcription
from transcriptions.realtime.routing import websocket_urlpatterns
from transcriptions.webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

READ, WRITE, USAGE = Scope.READ, Scope.WRITE, Scope.USAGE
SESSION = None  # no token is good enough

# Operation: the scope that it takes. What has an id is its owner's alone.
OPERATIONS = {
    "GET /api/transcriptions": READ,
    "POST /api/transcriptions": WRITE,
    "POST /api/transcribe": WRITE,
    "POST /api/transcribe/stream": WRITE,
    "GET /api/transcriptions/{transcription_id}": READ,
    "PATCH /api/transcriptions/{transcription_id}": WRITE,
    "DELETE /api/transcriptions/{transcription_id}": WRITE,
    "PATCH /api/transcriptions/{transcription_id}/segments/{number}": WRITE,
    "POST /api/transcriptions/{transcription_id}/cancel": WRITE,
    "POST /api/transcriptions/{transcription_id}/retry": WRITE,
    "GET /api/transcriptions/{transcription_id}/events": READ,
    "GET /api/transcriptions/{transcription_id}/export": READ,
    "GET /api/transcriptions/{transcription_id}/audio": READ,
    "HEAD /api/transcriptions/{transcription_id}/audio": READ,
    "HEAD /api/transcriptions/{transcription_id}/export": READ,
    "GET /api/usage": USAGE,
    "GET /api/tokens": SESSION,
    "POST /api/tokens": SESSION,
    "DELETE /api/tokens/{token_id}": SESSION,
    "GET /v1/models": READ,
    "GET /v1/models/{name}": READ,
    "POST /v1/audio/transcriptions": WRITE,
    "POST /v1/audio/translations": WRITE,
}

EVERYBODY, SIGNED_IN, OWNER, STAFF = "everybody", "signed in", "its owner", "staff"
PAGES = {
    "health": EVERYBODY,
    "docs/": EVERYBODY,
    "docs/search/": EVERYBODY,
    "docs/images/<str:name>": EVERYBODY,
    "docs/<slug:name>/": EVERYBODY,
    "": EVERYBODY,  # the library; a visitor reads what this is
    "transcriptions/<id:transcription_id>/": OWNER,
    "transcriptions/<id:transcription_id>/row/": OWNER,
    "transcriptions/<id:transcription_id>/cancel/": OWNER,
    "transcriptions/<id:transcription_id>/retry/": OWNER,
    "transcriptions/<id:transcription_id>/delete/": OWNER,
    "invited/<str:code>/": EVERYBODY,
    "settings/usage/": SIGNED_IN,
    "settings/usage/details/": SIGNED_IN,
    "settings/activity/": SIGNED_IN,
    "settings/tokens/": SIGNED_IN,
    "settings/tokens/<int:token_id>/revoke/": OWNER,
    "settings/data/": SIGNED_IN,
    "settings/data/export/": SIGNED_IN,
    "settings/data/delete-account/": SIGNED_IN,
    "settings/webhooks/": SIGNED_IN,
    "settings/webhooks/<int:endpoint_id>/": OWNER,
    "settings/webhooks/<int:endpoint_id>/test/": OWNER,
    "settings/webhooks/<int:endpoint_id>/enable/": OWNER,
    "settings/webhooks/<int:endpoint_id>/rotate/": OWNER,
    "settings/webhooks/<int:endpoint_id>/delete/": OWNER,
    "settings/webhooks/<int:endpoint_id>/deliveries/<id:delivery_id>/replay/": OWNER,
    "admin/accounts/usageday/": STAFF,
    "admin/transcriptions/transcription/<path:object_id>/change/": STAFF,
    "admin/transcriptions/transcription/<path:object_id>/history/": STAFF,
}
POSTED = (
    "cancel/",
    "retry/",
    "delete/",
    "revoke/",
    "test/",
    "enable/",
    "rotate/",
    "replay/",
    "data/export/",
    "delete-account/",
)
# What the admin site has pages for: no words, no webhooks with their secrets.
ADMINISTERED = {
    *("accounts.User", "accounts.Plan", "accounts.Invitation", "accounts.ApiToken"),
    *("accounts.UsageRecord", "accounts.UsageDay", "accounts.AuditEvent", "auth.Group"),
    *("account.EmailAddress", "mfa.Authenticator", "usersessions.UserSession"),
    *("socialaccount.SocialApp", "socialaccount.SocialAccount", "socialaccount.SocialToken"),
    "transcriptions.Transcription",
}
SOCKETS = {"ws/transcriptions/<id:transcription_id>/": OWNER}  # see test_consumers.py
# What libraries bring, with doors of its own: these libraries, and these pages of theirs.
LIBRARIES = ("ninja.", "allauth.", "django.contrib.", "django.views.generic.base")
SIGNING_IN = {
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
    *(f"{who}/login" for who in ("google", "github", "microsoft")),
    *(f"{who}/login/callback" for who in ("google", "github", "microsoft")),
}
OF_A_MODEL = (
    "",
    "add/",
    *(f"<path:object_id>/{p}" for p in ("", "change/", "delete/", "history/")),
)
ADMINISTRATION = {
    *("", "login/", "logout/", "password_change/", "password_change/done/", "autocomplete/"),
    *("jsi18n/", "r/<path:content_type_id>/<path:object_id>/", "<app_label>/", "<url>"),
    "accounts/user/<id>/password/",
    *(f"{m.lower().replace('.', '/')}/{page}" for m in ADMINISTERED for page in OF_A_MODEL),
}
THEIRS = {
    *("api/", "api/docs", "api/openapi.json", "v1/"),
    *(f"accounts/{page}/" for page in SIGNING_IN),
    *(f"admin/{page}" for page in ADMINISTRATION),
}


class Things:
    """What Alice has, by the names that addresses have for it."""

    def __init__(self, alice: User) -> None:
        self.row = Transcription.objects.create(
            owner=alice,
            title="Hers",
            source="none",
            source_bytes=1,
            state=State.COMPLETED,
            completed_at=timezone.now(),
        )
        Segment.objects.create(transcription=self.row, number=1, start=0, end=1, text="Hers.")
        self.token = issue_token(alice)[0]
        self.endpoint = Endpoint.objects.create(owner=alice, url="https://example.com/")
        self.delivery = self.endpoint.create_delivery("webhook.test", "msg_1", {})
        invitation = Invitation.objects.create(email="dora@example.com", invited_by=alice)
        self.code = invitation_link(invitation).split("/")[-2]

    def fill(self, path: str) -> str:
        """An address with her ids in it."""
        id: Any = self.row.id
        if "tokens" in path:
            id = self.token.id
        elif "webhooks" in path:
            id = self.endpoint.id
        path = path.replace("<id:delivery_id>", str(self.delivery.id))
        path = re.sub(r"\{\w*id\}|<(int|path|id):\w*id>", str(id), path)
        path = path.replace("<slug:name>", "api").replace("<str:name>", "live.png")
        path = path.replace("{number}", "1").replace("{name}", "whisper-1")
        return path.replace("<str:code>", self.code)

    def untouched(self) -> bool:
        """Whether all of it is as it was."""
        self.row.refresh_from_db()
        return (
            (self.row.title, self.row.text, self.row.state) == ("Hers", "Hers.", "completed")
            and ApiToken.objects.filter(pk=self.token.pk).exists()
            and Endpoint.objects.get().secret == self.endpoint.secret
            and Delivery.objects.count() == 1
        )


@pytest.fixture
def things(alice: User) -> Things:
    return Things(alice)


def call(client: Client, operation: str, things: Things) -> Any:
    method, path = operation.split(" ")
    body = '{"text": "Mine"}' if "segments" in path else '{"title": "Mine"}'
    media_type = "multipart/form-data; boundary=x" if method == "POST" else "application/json"
    return client.generic(method, things.fill(path), body, content_type=media_type)


def with_token(user: User, *scopes: Scope) -> Client:
    return Client(headers={"Authorization": f"Bearer {issue_token(user, scopes=scopes)[1]}"})


def with_session(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


# --- The API ------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
def test_visitors_are_asked_who_they_are(operation: str, things: Things) -> None:
    for headers in ({}, {"Authorization": "Bearer tk_wrong"}, {"Authorization": "Basic eA=="}):
        answer = call(Client(headers=headers), operation, things)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Bearer"
    assert things.untouched()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_token_needs_the_scope(operation: str, things: Things, alice: User) -> None:
    needed = OPERATIONS[operation]
    others = [scope for scope in Scope if scope != needed]
    answer = call(with_token(alice, *others), operation, things)
    assert answer.status_code == 403
    assert things.untouched()
    if needed is not SESSION:
        assert call(with_token(alice, needed), operation, things).status_code not in (401, 403)


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if "id}" in name])
def test_what_is_hers_is_not_there_for_anybody_else(
    operation: str, things: Things, bob: User, carol: User
) -> None:
    for user in (bob, carol):  # a stranger, and staff
        assert call(with_session(user), operation, things).status_code == 404
        if OPERATIONS[operation] is not SESSION:
            assert call(with_token(user, *Scope), operation, things).status_code == 404
    assert things.untouched()


LISTS = ["GET /api/transcriptions", "GET /api/tokens", "GET /api/usage"]


@pytest.mark.parametrize("operation", LISTS)
def test_lists_hold_nothing_of_others(operation: str, things: Things, bob: User) -> None:
    answer = call(with_session(bob), operation, things)
    assert answer.status_code == 200
    assert str(things.row.id) not in answer.content.decode()
    assert things.token.hint not in answer.content.decode()


# --- The pages ----------------------------------------------------------------------------------


def routes(entries: Iterable[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    """All that can be called and is ours: pages by their addresses, operations as in the table."""
    for entry in entries:
        address = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, address)
        elif methods := ninja_methods(entry.callback):
            plain = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", address)
            yield from (f"{method} /{plain}" for method in methods)
        elif not is_theirs(address, entry.callback):
            yield address


def ninja_methods(view: Callable[..., Any]) -> list[str]:
    """What an address of django-ninja's answers to, documented or not; its view is a closure."""
    cells = [cell.cell_contents for cell in getattr(view, "__closure__", None) or ()]
    paths = [cell for cell in cells if isinstance(cell, PathView)]
    return [m for path in paths for operation in path.operations for m in operation.methods]


def is_theirs(address: str, view: Callable[..., Any]) -> bool:
    """Whether it is a page that we know of a library, and still that library's view."""
    bare = view.func if isinstance(view, partial) else inspect.unwrap(view)
    module = getattr(view, "view_class", bare).__module__
    return simplify_regex(address)[1:] in THEIRS and module.startswith(LIBRARIES)


def test_every_page_and_operation_is_in_the_table() -> None:
    assert set(routes(get_resolver().url_patterns)) == {*PAGES, *OPERATIONS}


def leak(request: HttpRequest, **_: Any) -> HttpResponse:
    """A view that somebody might add."""
    return HttpResponse("Hers")


def test_a_new_page_is_found_wherever_it_is() -> None:
    places = ["dump/", "api/dump/", "v1/dump", "accounts/dump/<id:id>/", "admin/dump/"]
    added = [path(place, leak) for place in places]
    added.append(path("admin/accounts/plan/dump/", admin.site.admin_view(leak)))
    found = set(routes(added))
    assert found == {*places, "admin/accounts/plan/dump/"}


def test_a_new_page_of_a_library_is_found_too() -> None:
    added = {
        "accounts/dump/": TemplateView.as_view(template_name="base.html"),
        "accounts/more/": EmailView.as_view(),
        "admin/doc/": BookmarkletsView.as_view(),
        "admin/login/": leak,  # nor does a view of ours hide behind their address
    }
    assert set(routes(path(*pair) for pair in added.items())) == set(added)


def test_an_operation_is_found_wherever_it_is() -> None:
    root, below = NinjaAPI(urls_namespace="dump"), Router()
    root.get("/dump", include_in_schema=False, auth=None)(leak)
    below.api_operation(["POST", "PUT"], "/dump")(leak)
    root.add_router("/deep", below)
    found = set(routes([path("api/more/", root.urls)]))
    deep = {"POST /api/more/deep/dump", "PUT /api/more/deep/dump"}
    described = {f"api/more/{page}" for page in ("", "docs", "openapi.json")}
    assert found == {"GET /api/more/dump", *deep, *described}


def sockets(app: Any) -> set[str]:
    """What a browser can open, whatever it has to pass before."""
    while not isinstance(app, URLRouter):
        app = getattr(app, "inner", None) or app.application
    return {str(entry.pattern) for entry in app.routes}


def test_every_socket_is_in_the_table() -> None:
    assert sockets(application.application_mapping["websocket"]) == set(SOCKETS)
    added = URLRouter([*websocket_urlpatterns, path("ws/dump/", leak)])
    assert sockets(AllowedHostsOriginValidator(added)) == {*SOCKETS, "ws/dump/"}


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_for_whom_the_table_says(
    page: str, things: Things, alice: User, bob: User, carol: User
) -> None:
    url = "/" + things.fill(page)
    method = "POST" if page.endswith(POSTED) else "GET"
    visitor = Client().generic(method, url)
    if PAGES[page] == EVERYBODY:
        assert visitor.status_code in (200, 302)
        assert "login" not in visitor.headers.get("Location", "")
        assert b"Hers" not in with_session(bob).get(url).content
        return
    assert visitor.status_code == 302
    if PAGES[page] == STAFF:  # what staff see is told below
        assert with_session(bob).get(url).status_code == 302
        return
    assert visitor["Location"].startswith("/accounts/login/")
    for stranger in (bob, carol):
        answer = with_session(stranger).generic(method, url)
        expected = {OWNER: [404], SIGNED_IN: [200, 400]}[PAGES[page]]  # 400: without the password
        assert answer.status_code in expected
        content = b"".join(answer)
        assert b"Hers" not in content
        assert things.token.hint.encode() not in content
    assert things.untouched()
    assert with_session(alice).generic(method, url).status_code in (200, 302, 400)


# --- The admin site -----------------------------------------------------------------------------


def test_the_admin_site_is_for_staff() -> None:
    pages = ["/admin/", "/admin/accounts/user/", "/admin/transcriptions/transcription/"]
    somebody = User.objects.create_user("dora@example.com", "x")
    for client in (Client(), with_session(somebody)):
        for page in pages:
            assert client.get(page).status_code == 302


def test_nothing_else_is_administered() -> None:
    assert {model._meta.label for model in admin.site._registry} == ADMINISTERED


def test_staff_see_usage_and_no_words(things: Things) -> None:
    clerk = with_session(User.objects.create_user("clerk@example.com", "x", is_staff=True))
    assert clerk.get("/admin/accounts/usageday/").status_code == 200
    assert clerk.get("/admin/accounts/usagerecord/").status_code == 200
    jobs = "/admin/transcriptions/transcription/"
    for page in (jobs, f"{jobs}{things.row.id}/change/"):
        assert b"Hers" not in clerk.get(page).content
    for page in ("accounts/user/", "accounts/apitoken/", "accounts/invitation/"):
        assert clerk.get(f"/admin/{page}").status_code == 403
