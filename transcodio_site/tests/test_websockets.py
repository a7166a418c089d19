"""WebSockets: only the site's own origin, limits for each user, and a close code after errors."""

from __future__ import annotations

import re
from typing import Any

import httpx
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from transcodio_site.embedded import postgres_url
from transcodio_site.testing import WAIT_S, Stack, wait_until
from transcodio_site.websockets import is_same_origin
from transcriptions.realtime import consumers

RECORDING = "00000000-0000-4000-8000-000000000000"


def handshake(origin: str, host: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", host.encode()), (b"origin", origin.encode())]


@pytest.mark.covers("attack", "A page of another site, port or scheme opens a WebSocket")
@pytest.mark.parametrize(
    ("site", "origin", "host", "allowed"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("http://127.0.0.1:8000", "http://localhost:8000", "localhost:8000", True),
        ("http://127.0.0.1:8000", "http://127.0.0.1:9000", "127.0.0.1:8000", False),
        ("http://127.0.0.1:8000", "http://localhost:8000", "127.0.0.1:8000", False),
        ("http://127.0.0.1:8000", "http://evil.example:8000", "evil.example:8000", False),
        ("https://localhost", "https://localhost", "localhost", True),
        ("https://localhost", "https://localhost:443", "localhost", True),
        ("https://localhost", "https://localhost", "web:8000", True),  # behind a proxy
        ("https://localhost", "http://localhost", "localhost", False),
        ("https://localhost", "http://localhost:443", "localhost", False),
        ("https://localhost", "https://evil.localhost", "localhost", False),
        ("https://localhost", "null", "localhost", False),
        ("https://localhost", "", "", False),
        ("https://localhost", "https://[", "localhost", False),
        ("https://localhost", "https://localhost:x", "localhost", False),
    ],
)
def test_only_the_origin_of_the_site_is_accepted(
    settings: Any, site: str, origin: str, host: str, allowed: bool
) -> None:
    settings.SITE_URL = site
    settings.ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
    assert is_same_origin(handshake(origin, host)) is allowed


def test_server_can_send_all_close_codes() -> None:
    codes = [value for name, value in vars(consumers).items() if name.startswith("CLOSE_")]
    assert codes
    assert all(code == 1000 or 3000 <= code < 5000 for code in codes)


@pytest.fixture(scope="module")
def session(stack: Stack) -> str:
    """The session cookie of the demo account."""
    match = re.search(r"sign in as  (\S+)  password  (\S+)", "".join(stack.output))
    assert match
    with httpx.Client(base_url=stack.url, follow_redirects=True) as page:
        page.get("/accounts/login/")
        form = {"login": match[1], "password": match[2]}
        page.post(
            "/accounts/login/", data=form | {"csrfmiddlewaretoken": page.cookies["csrftoken"]}
        )
        return page.cookies["sessionid"]


def close_code(stack: Stack, session: str, interrupt: Any = None) -> int:
    """Open a WebSocket, call `interrupt`, and wait for the close frame of the server."""
    url = f"{stack.url.replace('http', 'ws')}/ws/transcriptions/{RECORDING}/"
    headers = {"Cookie": f"sessionid={session}"}
    with connect(
        url, origin=Origin(stack.url), additional_headers=headers, open_timeout=WAIT_S
    ) as websocket:
        if interrupt:
            interrupt()
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(timeout=WAIT_S)
    assert closed.value.rcvd  # a frame, and not only the end of the connection
    return closed.value.rcvd.code


def test_unknown_recording_is_closed_with_4404(stack: Stack, session: str) -> None:
    assert close_code(stack, session) == 4404


@pytest.mark.covers("fault", "Postgres ends a connection while a WebSocket uses it")
def test_ended_database_connection_closes_websocket_with_4500(stack: Stack, session: str) -> None:
    waiting = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND query LIKE '%transcriptions_transcription%'"
    )
    with psycopg.connect(postgres_url(stack.var)) as blocker:
        blocker.execute("LOCK TABLE transcriptions_transcription")
        with psycopg.connect(postgres_url(stack.var), autocommit=True) as killer:
            code = close_code(
                stack, session, lambda: wait_until(lambda: killer.execute(waiting).fetchall())
            )
        blocker.rollback()
    assert code == 4500
    assert close_code(stack, session) == 4404  # the next connection works
