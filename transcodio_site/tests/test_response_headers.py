"""Headers on every response of the site: no URL, status or media type is without them."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.core.files.base import ContentFile
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client, RequestFactory

from accounts.models import Plan, User
from transcodio_site.response_headers import (
    FILE_POLICY,
    WAVESURFER_STYLE,
    WORKER_POLICY,
    cache_headers,
    page_policy,
)
from transcodio_site.testing import ROOT
from transcodio_site.tests.resources import Resources, call, with_session
from transcodio_site.tests.test_permission_matrix import LIBRARY_PAGES
from transcodio_site.tests.test_permissions import OPERATIONS, PAGES
from transcriptions.models import Transcription
from transcriptions.testing import Headers

# For caches, when the status is 200.
PUBLIC = (
    *("/docs/", "/api/docs", "/schemas/", "/static/"),
    *("/manifest.webmanifest", "/service-worker.js", "/offline/"),
)
STATIC = ("css/base.css", "js/text.js", "vendor/htmx.min.js", "img/favicon.svg")
EXPECTED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def problems(response: Any, path: str) -> list[str]:
    """The problems with the headers of a response."""
    headers = {name: response.get(name, "") for name in EXPECTED}
    secret_url = {"Referrer-Policy": "no-referrer"} if path.startswith("/captions/") else {}
    wanted = EXPECTED | secret_url
    found = [f"{name}: {value}" for name, value in headers.items() if value != wanted[name]]
    is_page = response.get("Content-Type", "").startswith("text/html")
    policy = WORKER_POLICY if path == "/service-worker.js" else FILE_POLICY
    expected = "" if response.status_code == 304 else page_policy() if is_page else policy
    if response.get("Content-Security-Policy", "") != expected:
        found.append(response["Content-Security-Policy"])
    if "microphone=(self), display-capture=(self), " not in response["Permissions-Policy"]:
        found.append(response["Permissions-Policy"])
    found += [name for name in response.headers if name.lower().startswith("access-control-")]
    caching, vary = response["Cache-Control"], response.get("Vary", "")
    if path.startswith(PUBLIC) and path != "/offline/state/" and response.status_code == 200:
        if "public" not in caching or "no-store" in caching:
            found.append(f"{caching}; Vary: {vary}")
    elif "no-store" not in caching or not {"Authorization", "Cookie"} <= {*vary.split(", ")}:
        found.append(f"{caching}; Vary: {vary}")
    return [f"{response.status_code} {path}: {problem}" for problem in found]


def library_urls(alice: User) -> Iterator[str]:
    """Pages of libraries, with ids that exist for the models that have a row."""
    rows = {f"admin/{m._meta.label_lower.replace('.', '/')}/": m for m in admin.site._registry}
    for route in sorted(LIBRARY_PAGES):
        model = next((model for prefix, model in rows.items() if route.startswith(prefix)), None)
        row = model._default_manager.first() if model else None
        path = route.replace("<provider_id>", "oidc").replace("<app_label>", "accounts")
        yield "/" + re.sub(r"<[^>]+>", str(row.pk if row else 1), path)


@pytest.mark.covers("attack", "A page is framed, its type guessed, or its content sent elsewhere")
@pytest.mark.covers("attack", "A shared computer or a proxy keeps what a user has seen")
def test_headers_of_every_url(alice: User, carol: User) -> None:
    resources = Resources(alice)
    Plan.objects.create(name="Free")
    pages = [f"/{resources.fill(page)}" for page in PAGES]
    library_pages = [*library_urls(alice), *(f"/static/{name}" for name in STATIC)]
    visitor, owner, staff = Client(), with_session(alice), with_session(carol)
    found: list[str] = []
    statuses = set()
    for client, urls in ((visitor, pages), (owner, pages), (staff, library_pages)):
        for url in urls:
            response = client.get(url)
            statuses.add(response.status_code)
            found += problems(response, url)
        for operation in OPERATIONS:
            if not operation.startswith("DELETE"):
                response = call(client, operation, resources)
                found += problems(response, operation.split(" ")[1])
    assert found == []
    assert {200, 301, 302, 403, 404, 405} <= statuses


def too_large(client: Client) -> Any:
    return client.post("/api/tokens", b"x" * 3_000_000, content_type="application/json")


def unreachable_database(client: Client) -> Any:
    def broken(*_: Any) -> Any:
        raise OperationalError("terminating connection")

    with connection.execute_wrapper(broken):
        return client.get("/")


def raising(monkeypatch: pytest.MonkeyPatch, error: Exception, client: Client) -> Any:
    def broken(user: object) -> None:
        raise error

    monkeypatch.setattr("transcriptions.permissions.visible_to", broken)
    return client.get("/")


@pytest.fixture
def row(alice: User, settings: Any, tmp_path: Path) -> Transcription:
    """Alice's recording, with a file."""
    settings.MEDIA_ROOT = tmp_path
    row = Resources(alice).row
    row.source.save("audio", ContentFile(b"<script>alert(1)</script>"))
    return row


@pytest.mark.parametrize(
    "status", [301, 400, 401, 403, 404, 405, 409, 413, 416, 422, 429, 500, 503]
)
def test_headers_of_every_error(
    alice: User, row: Transcription, monkeypatch: pytest.MonkeyPatch, settings: Any, status: int
) -> None:
    settings.RATE_LIMIT_PER_USER = "1/minute" if status == 429 else "100/minute"
    settings.SECURE_SSL_REDIRECT = status == 301
    client = Client(raise_request_exception=False, enforce_csrf_checks=status == 403)
    if status != 401:
        client.force_login(alice)
    api = f"/api/transcriptions/{row.id}"
    requests: dict[int, Callable[[], Any]] = {
        301: lambda: client.get("/"),
        400: lambda: client.get("/", headers={"Host": "evil.example"}),
        401: lambda: client.get("/api/usage"),
        403: lambda: client.post("/accounts/logout/"),
        404: lambda: client.get("/nowhere"),
        405: lambda: client.delete("/settings/data/"),
        409: lambda: client.post(f"{api}/retry"),
        413: lambda: too_large(client),
        416: lambda: client.get(f"{api}/audio", headers={"Range": "bytes=99-"}),
        422: lambda: client.get("/api/transcriptions?limit=0"),
        429: lambda: [client.get("/api/usage") for _ in "12"][-1],
        500: lambda: raising(monkeypatch, RuntimeError("broken"), client),
        503: lambda: unreachable_database(client),
    }
    response = requests[status]()
    assert response.status_code == status
    assert problems(response, "") == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["audio", "export?format=vtt", "export?format=json", "events"])
def test_headers_of_files_and_streams(
    alice: User, row: Transcription, token_of: Headers, path: str
) -> None:
    url = f"/api/transcriptions/{row.id}/{path}"
    for client in (with_session(alice), Client(headers=token_of(alice))):
        response = client.get(url)
        assert response.status_code == 200
        assert problems(response, "") == []
        response.close()
        if etag := response.get("ETag"):
            assert problems(client.get(url, headers={"If-None-Match": etag}), "") == []


@pytest.mark.parametrize("url", ["/docs/", "/offline/"])
def test_stored_page_keeps_its_policy(url: str, client: Client, db: None) -> None:
    etag = client.get(url)["ETag"]
    response = client.get(url, headers={"If-None-Match": etag})
    assert response.status_code == 304
    assert "Content-Security-Policy" not in response  # which would be that of a file


@pytest.mark.parametrize(
    ("view", "is_stored"),
    [
        ({}, False),
        ({"Cache-Control": "no-cache"}, False),
        ({"Cache-Control": "max-age=60"}, False),
        ({"Cache-Control": "private, max-age=60"}, False),
        ({"Cache-Control": "public, max-age=60"}, True),
        ({"Cache-Control": "public, max-age=60", "Set-Cookie": "a=b"}, False),
    ],
)
def test_only_public_responses_without_cookies_are_stored(
    rf: RequestFactory, view: dict[str, str], is_stored: bool
) -> None:
    response = HttpResponse(headers={k: v for k, v in view.items() if k == "Cache-Control"})
    if "Set-Cookie" in view:
        response.set_cookie("a", "b")
    answer = cache_headers(lambda request: response)(rf.get("/"))
    assert ("no-store" not in answer["Cache-Control"]) is is_stored
    assert ("public" in answer["Cache-Control"]) is is_stored
    assert answer.has_header("Vary") is not is_stored


def test_policies_allow_nothing_unsafe() -> None:
    for policy in (page_policy(), WORKER_POLICY, FILE_POLICY):
        assert "unsafe-" not in policy
        assert "*" not in policy
    for policy in (page_policy(), FILE_POLICY):
        for directive in ("default-src", "base-uri", "form-action", "frame-ancestors"):
            assert f"{directive} '" in policy
    assert "script-src" not in page_policy()  # as default-src
    assert page_policy().startswith("default-src 'self';")


def test_policy_names_the_style_sheet_of_wavesurfer() -> None:
    code = (ROOT / "static" / "vendor" / "wavesurfer.esm.js").read_text()
    player = (ROOT / "static" / "js" / "player-waveform.js").read_text()
    height = re.search(r"HEIGHT_PX = (\d+);", player)
    sheet = re.search(r"<style\$\{.*?:\"\"\}>(.*?)</style>", code, re.DOTALL)
    assert height
    assert sheet
    text = re.sub(r"\$\{this\.getHeight\([^}]*\)\}", height[1], sheet[1]).replace("\\n", "\n")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert f"'sha256-{digest}'" == WAVESURFER_STYLE


def test_templates_have_no_inline_style_or_script() -> None:
    inline = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)")
    for path in sorted((ROOT / "templates").rglob("*.html")):
        if path.parent.name != "email":  # read by mail programs, which know no style sheets
            assert not inline.search(path.read_text()), path


@pytest.mark.parametrize(
    ("environment", "hsts"),
    [
        ({"SITE_URL": "http://transcodio.example"}, (0, False, False)),
        ({}, (31_536_000, False, False)),
        ({"HSTS_INCLUDE_SUBDOMAINS": "true", "HSTS_PRELOAD": "true"}, (31_536_000, True, True)),
    ],
)
def test_hsts_binds_other_hosts_only_by_choice(
    environment: dict[str, str], hsts: tuple[int, bool, bool]
) -> None:
    names = ("SECONDS", "INCLUDE_SUBDOMAINS", "PRELOAD")
    values = ", ".join(f"settings.SECURE_HSTS_{name}" for name in names)
    code = f"from transcodio_site import settings; print(({values}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"SITE_URL": "https://transcodio.example"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(hsts)
