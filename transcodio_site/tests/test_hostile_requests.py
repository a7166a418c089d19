"""Requests that no client would send get no 500: over a socket from visitors, and with all kinds of
values from users and superusers."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib import admin
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.tokens import issue_token
from transcodio_site.testing import WAIT_S, Stack
from transcriptions.models import Segment, State, Transcription

# Encoded as in a URL.
VALUES = [
    *(
        "",
        "%00",
        "a%00b",
        "%2500",
        "%7F",
        "%FF",
        "%ED%A0%80",
        "%F0%9F%98%80",
        "%E2%80%AE",
        "'%22--",
    ),
    *("[]", "..", "*", "-1", "0", "9" * 19, "9" * 40, "9" * 5000, "1e999", "nan", "0x10", "%D9%A3"),
    *("true", "0001-01-01", "9999-12-31", "2026-02-30", "2026-05-04T00:00:00%2B25:00", "http://["),
    *("//[", "%5C", "MjAyNi0wNS0wNCAx", "a" * 3000, "(" * 99, "1,2", "None", "on", "x&q=1&q=2"),
    *("0" * 32, "00000000-0000-4000-8000-000000000000"),
]
HEADERS = [
    *(
        "Range",
        "If-None-Match",
        "If-Range",
        "If-Modified-Since",
        "Last-Event-ID",
        "Accept-Language",
    ),
    *("X-Forwarded-For", "Idempotency-Key", "Accept", "Referer", "User-Agent", "X-Request-ID"),
    *("Authorization", "Content-Type", "Origin"),
]
HEADER_VALUES = [
    *("", "\0", "\x7f", "ÿ", "W/", "*", "bytes=-", "bytes=9-1", f"bytes=0-{'9' * 40}", "0-error"),
    *(
        "9" * 5000,
        "Bearer \0",
        "Bearer ÿ",
        "Basic ==",
        "en;q=0." + "9" * 400,
        "http://[",
        "a-" * 999,
    ),
    *("Mon, 99 Foo 99999 99:99:99 GMT", "text/plain; charset=no", "multipart/form-data; boundary="),
]
BODIES = [
    *(b"", b"{", b"null", b"1", b"\xff\xfe", b"\0", b"[" * 100_000, b'{"a":' * 50_000),
    *(b'{"title":"\\u0000"}', b'{"title":"\\ud800"}', b'{"title":1e999}', b'{"title":["a"]}'),
    *(b'{"text":"\\ud800"}', b'{"text":"a","expected_text":"\\u0000"}', b'{"name":"\\ud800"}'),
    b'{"name":"a","expires_in_days":' + b"9" * 4000 + b"}",
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="\0"\r\n\r\n1\r\n--x--',
    b"--x\r\n\xff: \xff\r\n\r\n1\r\n--x--",
]
CONTENT_TYPES = [
    *("application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"),
    *("application/json; charset=no", "multipart/form-data", ""),
]


class Requests:
    """Sends requests of one user, and collects those that were answered with 500 or more."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.client.raise_request_exception = False
        self.failed: list[tuple[str, ...]] = []
        self.random = random.Random(16)

    def send(
        self, method: str, path: str, body: bytes = b"", kind: str = "", **options: Any
    ) -> None:
        target = urlsplit(path)
        response = self.client.generic(
            method, target.path, body, kind, QUERY_STRING=target.query, **options
        )
        if response.status_code >= 500:
            self.failed.append((method, path[:200], str(options)[:200], repr(body[:60])))
        response.close()

    def sample(self, values: list[str], number: int) -> list[str]:
        return self.random.sample(values, number)


PAGES = [
    *("/", "/docs/search/", "/api/docs", "/settings/activity/", "/settings/usage/details/"),
    *("/settings/webhooks/", "/accounts/login/", "/accounts/email/", "/transcriptions/{id}/"),
]
OPERATIONS = [
    *("/api/transcriptions", "/api/transcriptions/{id}", "/api/transcriptions/{id}/events"),
    *("/api/transcriptions/{id}/export", "/api/transcriptions/{id}/audio", "/api/usage"),
]
PARAMETERS = [
    *("q", "page", "next", "after", "cursor", "limit", "state", "language", "created_after"),
    *("created_before", "format", "x"),
]
IDENTIFIERS = [
    *("/transcriptions/{}/", "/settings/webhooks/{}/", "/docs/{}/"),
    "/schemas/{}",
    *("/docs/images/{}", "/invited/{}/", "/api/transcriptions/{}", "/v1/models/{}", "/static/{}"),
    *("/api/transcriptions/{id}/segments/{}", "/api/tokens/{}", "/settings/tokens/{}/revoke/"),
    *("/accounts/oidc/{}/login/", "/accounts/confirm-email/{}/"),
    "/accounts/password/reset/key/{}-{}/",
]


@pytest.fixture
def finished(alice: User) -> Transcription:
    """A completed recording without a file."""
    row = Transcription.objects.create(
        owner=alice,
        title="Talk",
        source="recordings/none",
        source_bytes=1,
        state=State.COMPLETED,
        completed_at=timezone.now(),
    )
    Segment.objects.create(transcription=row, number=1, start=0, end=1, text="Good morning.")
    return row


@pytest.fixture
def page(alice: User) -> Requests:
    requests = Requests(Client())
    requests.client.force_login(alice)
    return requests


@pytest.fixture
def api(alice: User) -> Requests:
    secret = issue_token(alice)[1]
    return Requests(Client(headers={"Authorization": f"Bearer {secret}"}))


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.slow
@pytest.mark.covers("attack", "Query parameters, headers and identifiers with impossible values")
def test_values_of_users_get_no_500(page: Requests, api: Requests, finished: Transcription) -> None:
    for path in (*PAGES, *OPERATIONS):
        requests = page if path in PAGES else api
        path = path.replace("{id}", str(finished.id))
        for name in PARAMETERS:
            for value in requests.sample(VALUES, 1):
                requests.send("GET", f"{path}?{name}={value}")
        for name in requests.sample(HEADERS, 6):
            value = requests.random.choice(HEADER_VALUES)
            requests.send("GET", path, headers={name: value})
    for path in IDENTIFIERS:
        path = path.replace("{id}", str(finished.id))
        for value in page.sample(VALUES, 4):
            for requests in (page, api):
                method = requests.random.choice(["GET", "POST", "PATCH", "DELETE", "BREW"])
                requests.send(method, path.replace("{}", value))
    assert page.failed + api.failed == []


@pytest.mark.covers("attack", "Request bodies that are cut, deeply nested or wrongly encoded")
def test_bodies_get_no_500(api: Requests, finished: Transcription) -> None:
    row = f"/api/transcriptions/{finished.id}"
    for body in BODIES:
        for kind in CONTENT_TYPES:
            api.send("PATCH", api.random.choice([row, f"{row}/segments/1"]), body, kind)
            path = api.random.choice(["/api/transcriptions", "/v1/audio/transcriptions"])
            api.send("POST", path, body, kind)
    assert api.failed == []


def test_numbers_with_thousands_of_digits_get_no_500(
    page: Requests, finished: Transcription
) -> None:
    digits, form = "9" * 5000, "application/x-www-form-urlencoded"
    page.send("GET", f"/?q=morning&page={digits}")
    for fields in (f"track={digits}", f"diarize=on&speakers={digits}"):
        page.send("POST", f"/transcriptions/{finished.id}/recognize/", fields.encode(), form)
    assert page.failed == []


@pytest.mark.slow
@pytest.mark.covers("attack", "A superuser's filters, actions and ids with impossible values")
def test_admin_values_get_no_500(carol: User, finished: Transcription) -> None:
    requests = Requests(Client())
    requests.client.force_login(carol)
    lookups = ("", "__exact", "__gte", "__in", "__isnull", "__year", "__contains")
    for model, model_admin in admin.site._registry.items():
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        names = [*("q", "o", "p", "e", "_facets", "_to_field")]
        for field in requests.random.sample(model._meta.fields, min(4, len(model._meta.fields))):
            names.append(field.name + requests.random.choice(lookups))
        for name in names:
            for value in requests.sample(VALUES, 1):
                requests.send("GET", f"{path}?{name}={value}")
        for value in requests.sample(VALUES, 3):
            requests.send("GET", f"{path}{value}/change/")
            requests.send("POST", f"{path}{value}/delete/")
            actions = [getattr(action, "__name__", "") for action in model_admin.actions or ()]
            action = requests.random.choice(["delete_selected", *actions])
            form = f"action={action}&_selected_action={value}&post=yes"
            requests.send("POST", path, form.encode(), "application/x-www-form-urlencoded")
    assert requests.failed == []


# --- Over a socket ------------------------------------------------------------------------------

TARGETS = [
    *(
        b"/%00",
        b"/%ff",
        b"/%ed%a0%80",
        b"//",
        b"/\xff",
        b"*",
        b"http://[/",
        b"/?q=%00",
        b"/?page=%ff",
    ),
    *(
        b"/invited/%00/",
        b"/accounts/login/?next=http://[",
        b"/accounts/logout/?next=//[",
        b"/static/%00",
    ),
    *(b"/accounts/oidc/%00/login/", b"/accounts/oidc/%00/login/callback/", b"/docs/%ff/"),
    *(b"/admin/login/?next=http://[", b"/?" + b"a=1&" * 1200, b"/static/" + b"a" * 5000),
]
RAW_HEADERS = [
    *(
        b'Cookie: sessionid="\\000aaaaaaaa"',
        b"Cookie: sessionid=\xff\xfeaaaaaaaa",
        b"Cookie: =;;\x01",
    ),
    *(b'Cookie: csrftoken="\\000' + b"a" * 31 + b'"', b'Cookie: messages="\\000:a"', b"Host: \xff"),
    *(
        b"Daphne-Root-Path: \xff",
        b"Authorization: Bearer \xff",
        b"User-Agent: a\0b",
        b"Host: a:9999999",
    ),
    *(
        b"Content-Length: -1",
        b"Content-Length: " + b"9" * 40,
        b"Transfer-Encoding: \xff",
        b"Upgrade: \xff",
    ),
    *(
        b"X-Forwarded-For: \xff",
        b"Content-Type: text/html; charset=\xff",
        b"Expect: x",
        b"Origin: http://[",
    ),
]
SOCKET = b"/ws/transcriptions/00000000-0000-4000-8000-000000000000/"
HANDSHAKE = {
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Key": b"dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version": b"13",
}
HANDSHAKES: list[tuple[bytes, dict[bytes, bytes]]] = [
    *((path, {}) for path in (b"/", b"/ws/nowhere/", b"/%00", b"*", b"/api/transcriptions")),
    *((SOCKET + b"?after=" + value, {}) for value in (b"%ff", b"9" * 40, b"9" * 5000)),
    (SOCKET, {b"Cookie": b'sessionid="\\000aaaaaaaa"'}),
    *((SOCKET, {b"Origin": value}) for value in (b"\xff", b"http://[", b"http://a:x", b"null")),
    *((SOCKET, {b"Sec-WebSocket-Protocol": value}) for value in (b"\xff", b"a,,b")),
    *((SOCKET, {b"Sec-WebSocket-Key": value}) for value in (b"", b"\xff" * 24)),
    (SOCKET, {b"Sec-WebSocket-Extensions": b"\xff;;=,"}),
    (SOCKET, {b"Daphne-Root-Path": b"/x"}),
]


def raw_requests(stack: Stack) -> Iterator[bytes]:
    host = f"Host: {urlsplit(stack.url).netloc}".encode()
    for target in TARGETS:
        for method in (b"GET", b"POST", b"TRACE", b"BREW"):
            yield b"%s %s HTTP/1.1\r\n%s\r\nContent-Length: 0\r\n\r\n" % (method, target, host)
    for header in RAW_HEADERS:
        hosts = b"" if header.startswith(b"Host") else host + b"\r\n"
        for target in (
            b"/",
            b"/health",
            b"/accounts/login/",
            b"/api/transcriptions",
            b"/v1/models",
        ):
            yield b"GET %s HTTP/1.1\r\n%s%s\r\n\r\n" % (target, hosts, header)
    for target, changes in HANDSHAKES:
        headers = HANDSHAKE | {b"Origin": stack.url.encode()} | changes
        lines = b"\r\n".join(b"%s: %s" % pair for pair in headers.items())
        yield b"GET %s HTTP/1.1\r\n%s\r\n%s\r\n\r\n" % (target, host, lines)


@pytest.mark.covers(
    "attack", "Malformed paths, cookies, headers and WebSocket handshakes of visitors"
)
def test_raw_requests_of_visitors_get_no_500(stack: Stack) -> None:
    address = (urlsplit(stack.url).hostname, urlsplit(stack.url).port)
    failed = []
    for request in raw_requests(stack):
        with socket.create_connection(address) as connection:
            connection.settimeout(WAIT_S)
            connection.sendall(request)
            status = connection.recv(12)[9:10]
        if status == b"5":
            failed.append(request[:200])
    assert failed == []
