"""The middleware: request ids, errors as JSON, HEAD requests, and database errors."""

from __future__ import annotations

import re
from socket import create_connection
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.db import OperationalError, connection
from django.test import Client

from accounts.models import User
from transcodio_site.testing import WAIT_S, Stack


@pytest.mark.parametrize("path", ["/health", "/api/transcriptions", "/nowhere", "/v1/models"])
def test_request_id_of_caller_is_returned(db: None, client: Client, path: str) -> None:
    response = client.get(path, headers={"X-Request-ID": "job-7.retry:2"})
    assert response["X-Request-ID"] == "job-7.retry:2"


@pytest.mark.parametrize("request_id", ["", "two words", "line\nbreak", "x" * 129, "ünï"])
def test_invalid_request_id_is_replaced(db: None, client: Client, request_id: str) -> None:
    headers = {"X-Request-ID": request_id}
    new_ids = {client.get("/health", headers=headers)["X-Request-ID"] for _ in "12"}
    assert len(new_ids) == 2
    assert all(len(new_id) == 32 and new_id.isalnum() for new_id in new_ids)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "not_found"),
        ("PUT", "/api/transcriptions", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
    ],
)
def test_api_errors_are_json_in_the_format_of_the_api(
    db: None, client: Client, method: str, path: str, status: int, code: str
) -> None:
    response = client.generic(method, path)
    assert response.status_code == status
    body = response.json()
    if path.startswith("/v1/"):
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert body["error"]["code"] == code
    else:
        assert set(body) == {"detail", "code"}
        assert body["code"] == code


@pytest.mark.covers("attack", "An error message is searched for secrets of the code")
def test_unhandled_exception_is_json_500_without_details(
    db: None, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transcriptions import permissions

    def broken(user: object) -> None:
        raise RuntimeError("a secret of the code")

    monkeypatch.setattr(permissions, "visible_to", broken)
    client.raise_request_exception = False
    client.force_login(User.objects.create_user("x@example.com", "x"))
    response = client.get("/api/transcriptions")
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert b"secret" not in response.content


@pytest.mark.parametrize("path", ["/v1/models/", "/v1/models/whisper-1/", "/api/transcriptions/"])
def test_trailing_slash_of_the_api_is_ignored(alice: User, token_of: Any, path: str) -> None:
    assert Client(headers=token_of(alice)).get(path).status_code == 200
    assert Client().get(path).status_code == 401


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/api/docs/", "/docs/api/"])
def test_public_urls_answer_get_and_head(db: None, client: Client, path: str) -> None:
    assert client.get(path).status_code == 200
    response = client.head(path)
    assert (response.status_code, response.content) == (200, b"")


def test_head_of_the_openai_api_is_answered(alice: User, token_of: Any) -> None:
    assert Client(headers=token_of(alice)).head("/v1/models").status_code == 200


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/models", "GET, HEAD, OPTIONS"),
        ("/v1/audio/transcriptions/", "OPTIONS, POST"),
        ("/api/transcriptions", "GET, HEAD, OPTIONS, POST"),
        ("/", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_names_the_methods(db: None, client: Client, path: str, methods: str) -> None:
    response = client.options(path)
    assert (response.status_code, response["Allow"]) == (204, methods)


def test_pages_have_html_errors(db: None, client: Client) -> None:
    assert client.get("/nowhere")["Content-Type"].startswith("text/html")


def test_head_has_the_headers_of_get(stack: Stack) -> None:
    headers = {"Authorization": f"Bearer {stack.token('head@example.com')}"}
    for path in ("/api/transcriptions", "/api/usage"):
        whole = httpx.get(stack.url + path, headers=headers)
        head = httpx.head(stack.url + path, headers=headers)
        assert (head.status_code, head.content) == (200, b"")
        assert "Server" not in head.headers
        for name in ("ETag", "Content-Length", "Content-Type"):
            assert head.headers[name] == whole.headers[name]
        conditional = headers | {"If-None-Match": head.headers["ETag"]}
        assert httpx.head(stack.url + path, headers=conditional).status_code == 304
    assert httpx.head(f"{stack.url}/api/transcriptions").status_code == 401
    missing = f"{stack.url}/api/transcriptions/00000000-0000-4000-8000-000000000000"
    assert httpx.head(missing, headers=headers).status_code == 404


def test_host_in_the_request_line_is_ignored(stack: Stack) -> None:
    site = urlsplit(stack.url)
    for target in ("http://evil.example/docs", "//evil.example/docs", "http://evil.example"):
        with create_connection((site.hostname, site.port), timeout=WAIT_S) as connection:
            request = f"GET {target} HTTP/1.1\r\nHost: {site.netloc}\r\nConnection: close\r\n\r\n"
            connection.sendall(request.encode())
            with connection.makefile("rb") as file:
                head, _, body = file.read().partition(b"\r\n\r\n")
        assert re.match(rb"HTTP/1.1 (200|301|40[04]) ", head)
        locations = re.findall(r"(?im)^location: *([^\r\n]*)", head.decode())
        assert all(re.fullmatch(r"/(?![/\\]).*", location) for location in locations)
        assert b"evil.example" not in body


@pytest.mark.covers("fault", "Postgres is down while the session is looked up")
@pytest.mark.parametrize("path", ["/api/transcriptions", "/", "/settings/tokens/"])
def test_database_error_in_session_lookup_is_503(alice: User, path: str) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(alice)

    def broken(*_: Any) -> Any:
        raise OperationalError("terminating connection")

    with connection.execute_wrapper(broken):
        response = client.get(path)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    if path.startswith("/api/"):
        assert response.json()["code"] == "unavailable"
