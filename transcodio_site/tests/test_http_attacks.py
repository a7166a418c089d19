"""Requests that try to abuse the site: its name, its redirects, its forms and its sessions."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.helpers import PASSWORD
from transcodio_site.tests.resources import Resources, call, with_session
from transcodio_site.tests.test_permissions import OPERATIONS, PAGES, REDIRECT
from transcodio_site.tests.test_response_headers import library_urls
from transcriptions.models import Transcription
from transcriptions.testing import Headers

HOSTS = [
    "evil.example",
    "evil.example:80",
    "localhost.evil.example",
    "localhost@evil.example",
    "localhost:80@evil.example",
    "localhost, evil.example",
    "localhost/evil.example",
    "localhost\\evil.example",
    "localhost%00.evil.example",
    "[::1].evil.example",
    "",
]
URLS = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "////evil.example/",
    "\\\\evil.example/",
    "/\\evil.example/",
    "/\t/evil.example/",
    "\t//evil.example/",
    "/\n/evil.example/",
    "https:evil.example/",
    "https:/evil.example/",
    "https:///evil.example/",
    "https://testserver@evil.example/",
    "https://testserver.evil.example/",
    "https://evil.example\\@testserver/",
    "javascript:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "ftp://testserver/",
]
OWN_URL = "/settings/usage/"
# A path on this site. Browsers treat `\\` as `/`, and leave out tabs and line breaks.
OWN_PATH = re.compile(r"/(?![/\\])[^\t\r\n\\]*")


def is_on_site(response: Any) -> bool:
    """Whether a redirect stays on the site."""
    return response.status_code == 302 and bool(OWN_PATH.fullmatch(response["Location"]))


@pytest.mark.covers("attack", "A request names another host")
@pytest.mark.parametrize("host", HOSTS)
def test_foreign_host_is_refused(client: Client, db: None, host: str) -> None:
    for path in ("/", "/accounts/password/reset/", "/docs", "/api/usage", "/static/css/base.css"):
        response = client.get(path, headers={"Host": host})
        assert response.status_code == 400 or path.startswith("/static/")
        assert b"evil" not in b"".join(response)
        assert "Location" not in response


@pytest.mark.covers("attack", "An email's link is redirected by headers of the request")
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.example"},
        {"Forwarded": "host=evil.example"},
        {"X-Host": "evil.example", "X-Forwarded-Server": "evil.example"},
        {"Referer": "https://evil.example/", "Origin": "https://evil.example"},
    ],
)
def test_links_in_emails_lead_to_the_site(
    alice: User, mailoutbox: list[Any], settings: Any, headers: dict[str, str]
) -> None:
    settings.SITE_URL = "https://transcodio.example"
    client = Client(headers=headers)
    client.post("/accounts/password/reset/", {"email": alice.email})
    new = {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", new)
    assert len(mailoutbox) == 2
    for message in mailoutbox:
        hosts = set(re.findall(r"https?://([^/\s]+)", message.body))
        assert hosts == {"transcodio.example"}


@pytest.mark.covers("attack", "A link of the site leads to another one")
@pytest.mark.parametrize("url", URLS)
def test_redirect_stays_on_the_site(alice: User, carol: User, url: str) -> None:
    query = {"next": url}
    sign_in = {"login": alice.email, "password": PASSWORD, **query}
    assert is_on_site(Client().post("/accounts/login/", sign_in, query_params=query))
    sign_up = {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD, **query}
    assert is_on_site(Client().post("/accounts/signup/", sign_up, query_params=query))
    for path in ("/accounts/login/", "/accounts/signup/"):  # already signed in
        assert is_on_site(with_session(alice).get(path, query))
    assert is_on_site(with_session(alice).post("/accounts/logout/", query, query_params=query))
    reauthentication = {"password": PASSWORD, **query}
    for path in ("/accounts/reauthenticate/", "/accounts/2fa/reauthenticate/"):
        response = with_session(alice).post(path, reauthentication, query_params=query)
        assert is_on_site(response)
    assert is_on_site(Client().get("/admin/login/", query))
    assert is_on_site(with_session(carol).get("/admin/login/", query))


def test_redirect_leads_to_a_page_of_the_site(alice: User) -> None:
    form = {"login": alice.email, "password": PASSWORD, "next": OWN_URL}
    assert Client().post("/accounts/login/", form)["Location"] == OWN_URL
    assert with_session(alice).get("/accounts/login/", {"next": OWN_URL})["Location"] == OWN_URL


@pytest.mark.parametrize(
    "path", ["//evil.example/docs", "//evil.example/..%2fdocs", "/\\evil.example/docs"]
)
def test_added_slash_does_not_redirect_to_another_host(client: Client, db: None, path: str) -> None:
    response = client.generic("GET", path)
    assert response.status_code in (301, 404)
    assert OWN_PATH.fullmatch(response.get("Location", "/"))


@pytest.mark.covers("attack", "Another site sends a form with the user's cookies")
def test_every_form_needs_its_token(alice: User, carol: User) -> None:
    resources = Resources(alice)
    forms = [page for page, access in PAGES.items() if access != REDIRECT]  # which stores nothing
    urls = {alice: [f"/{resources.fill(page)}" for page in forms], carol: library_urls(alice)}
    accepted = []
    for user in urls:
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        for url in urls[user]:
            status = client.post(url).status_code
            if status not in (403, 404):  # 404: providers that are not configured
                accepted.append(f"{status} {url}")
    for headers in ({"X-CSRFToken": "x" * 32}, {"Origin": "https://evil.example"}):
        assert client.post("/accounts/logout/", headers=headers).status_code == 403
    assert accepted == []
    assert resources.unchanged()
    assert User.objects.count() == 2


@pytest.mark.parametrize(
    "operation", [name for name in OPERATIONS if name[:3] not in ("GET", "HEA")]
)
def test_every_operation_needs_a_form_token_or_an_api_token(
    alice: User, token_of: Headers, operation: str
) -> None:
    resources = Resources(alice)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert call(browser, operation, resources).status_code in (401, 403)  # 401: tokens only
    assert resources.unchanged()
    program = Client(enforce_csrf_checks=True, headers=token_of(alice))
    assert call(program, operation, resources).status_code != 401


@pytest.mark.covers("attack", "A link signs the user out or changes data")
def test_opening_pages_changes_nothing(alice: User) -> None:
    resources = Resources(alice)
    client = with_session(alice)
    for page in PAGES:
        client.get(f"/{resources.fill(page)}")
    client.get("/accounts/logout/")
    assert client.get("/settings/tokens/").status_code == 200
    assert resources.unchanged()


@pytest.mark.covers("attack", "A POST request claims to have another method")
@pytest.mark.parametrize("method", ["DELETE", "PATCH", "PUT", "GET"])
def test_method_cannot_be_overridden(alice: User, token_of: Headers, method: str) -> None:
    row = Resources(alice).row
    names = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
    headers = token_of(alice) | dict.fromkeys(names, method)
    path = f"/api/transcriptions/{row.id}"
    form = {"_method": method, "title": "Changed"}
    for query in ({}, {"_method": method}):
        response = Client(headers=headers).post(path, form, query_params=query)
        assert response.status_code == 405
    assert Transcription.objects.get().title == "Confidential"


@pytest.mark.covers("attack", "Another site reads responses with the user's cookies")
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver:1"])
def test_no_origin_may_read_responses_to_cookies(
    alice: User, token_of: Headers, origin: str
) -> None:
    """Browsers reveal no response to a request with cookies unless both headers allow it: the
    origin itself, and credentials. Pages, which accept no tokens, allow nothing."""
    row = Resources(alice).row
    request = {"Access-Control-Request-Method": "GET", "Origin": origin}
    for client in (with_session(alice), Client(headers=token_of(alice))):
        for path in ("/", "/api/usage", f"/api/transcriptions/{row.id}", "/v1/models", "/docs/"):
            for method in ("GET", "OPTIONS"):
                response = client.generic(method, path, headers=request)
                allowed = response.get("Access-Control-Allow-Origin")
                assert allowed == ("*" if path.startswith(("/api/", "/v1/")) else None)
                assert "Access-Control-Allow-Credentials" not in response.headers
                if method == "OPTIONS" and allowed:
                    continue  # it has no content
                assert response["Cross-Origin-Resource-Policy"] == "same-origin"
