"""ASGI middleware for WebSockets: only pages of this site connect, and errors close the socket."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from transcriptions.realtime.consumers import CLOSE_INTERNAL_ERROR

log = logging.getLogger(__name__)

DEFAULT_PORTS = {"http": 80, "https": 443}

TOKEN_PATHS = ("/api/live", "/v1/realtime")

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
Origin = tuple[str, str, int]  # scheme, host, port


async def refuse(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An application that refuses the handshake, which the server answers with 403."""
    await receive()
    await send({"type": "websocket.close"})


class SameOrigin:
    """Refuses handshakes from pages of other sites, whose scripts would use the visitor's session.

    Programs and other sites may open the WebSockets in TOKEN_PATHS, with a token: the cookies of
    the visitor are removed. The origin must be that of SITE_URL, or have the scheme of SITE_URL and
    the host and port of the `Host` header, which must be one of ALLOWED_HOSTS.
    """

    def __init__(self, inner: App) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Call the application, or refuse the handshake."""
        if is_same_origin(scope["headers"]):
            await self.inner(scope, receive, send)
        elif scope["path"] in TOKEN_PATHS:
            headers = [each for each in scope["headers"] if each[0] != b"cookie"]
            await self.inner(scope | {"headers": headers}, receive, send)
        else:
            await refuse(scope, receive, send)


def is_same_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the `Origin` of a handshake is this site."""
    values = {name: value.decode("latin-1") for name, value in headers}
    origin = _parse_origin(values.get(b"origin", ""))
    return origin is not None and origin in _own_origins(values.get(b"host", ""))


def _own_origins(host: str) -> set[Origin | None]:
    own = {_parse_origin(settings.SITE_URL)}
    if validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        own.add(_parse_origin(f"{urlsplit(settings.SITE_URL).scheme}://{host}"))
    return own


def _parse_origin(url: str) -> Origin | None:
    """Parse an origin; None if it is not a URL with a host."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


class CloseOnError:
    """Closes the socket when the application fails, so that the page connects again.

    A handshake that was not accepted yet is refused: the server would answer it with 500.
    """

    def __init__(self, inner: App) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Call the application."""
        accepted = closed = False

        async def track(message: dict[str, Any]) -> None:
            nonlocal accepted, closed
            accepted |= message["type"] == "websocket.accept"
            closed |= message["type"] in ("websocket.close", "websocket.http.response.start")
            await send(message)

        try:
            await self.inner(scope, receive, track)
        except Exception:
            log.exception("WebSocket %s failed", scope["path"])
            if not closed:
                code = {"code": CLOSE_INTERNAL_ERROR} if accepted else {}
                await send({"type": "websocket.close", **code})
