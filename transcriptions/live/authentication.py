"""Authentication of WebSockets that accept audio: by an API token or a client secret in a program,
or by the session on a page of this site."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.utils.translation import gettext as _

from accounts import rate_limits
from accounts.authentication import is_session_valid, sent_token
from accounts.client_ip import get_client_ip
from accounts.client_secrets import PREFIX as CLIENT_SECRET_PREFIX
from accounts.client_secrets import find_client_secret
from accounts.models import ApiToken, Scope, User
from accounts.rate_limits import Throttled
from accounts.tokens import find_token, find_token_by_id, record_token_use

# Browsers cannot send headers with a WebSocket, only names of subprotocols.
TOKEN_SUBPROTOCOLS = ("transcodio-token.", "openai-insecure-api-key.")


class Refused(Exception):
    """The connection is refused, with an HTTP status before it is accepted. `str()` is a message
    for the client."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.status, self.code, self.retry_after_s = status, code, retry_after_s

    @classmethod
    def throttled(cls, error: Throttled) -> Refused:
        """Create from a rate limit that was reached."""
        return cls(error.status, error.code, str(error), int(error.wait or 0))


@dataclass(frozen=True, slots=True)
class Client:
    """An authenticated client; `token` is None for a page. `settings` are those of the client
    secret."""

    user: User
    token: ApiToken | None
    scope: dict[str, Any]
    settings: dict[str, Any] | None = None

    def is_authorized(self) -> bool:
        """Whether the client is still authorized."""
        if self.token:
            return find_token_by_id(self.token.pk) is not None
        return is_session_valid(self.user, self.scope["session"])


def authenticate(scope: dict[str, Any]) -> Client:
    """Authenticate the handshake of a WebSocket, and count it as a request. The session cookie is
    only in the scope if a page of this site sent it. Raises Refused."""
    request = ASGIRequest(scope | {"method": "GET"}, BytesIO())
    secret = sent_token(request) or _token_in(scope["subprotocols"])
    try:
        if secret:
            return _by_token(scope, request, secret)
        request.user = scope["user"]
        rate_limits.count_page(request)
    except Throttled as error:
        raise Refused.throttled(error) from None
    if not isinstance(scope["user"], User) and not scope["user"].is_authenticated:
        message = _("Send an API token: Authorization: Bearer tk_...")
        raise Refused(401, "not_authenticated", message)
    return Client(User.objects.get(pk=scope["user"].pk), None, scope)


def _by_token(scope: dict[str, Any], request: ASGIRequest, secret: str) -> Client:
    found = _find(secret)
    if found is None:
        rate_limits.count_wrong_token(request)
        raise Refused(401, "invalid_token", _("The API token is unknown, expired or revoked."))
    token, settings = found
    rate_limits.count_request(request, token.user, token)
    record_token_use(token, get_client_ip(request))
    if Scope.WRITE not in token.scopes:
        message = _("This token lacks the scope %(scope)s. Create a token that has it.")
        raise Refused(403, "insufficient_scope", message % {"scope": Scope.WRITE})
    return Client(token.user, token, scope, settings)


def _find(secret: str) -> tuple[ApiToken, dict[str, Any] | None] | None:
    """The API token, and the settings if the secret is a client secret."""
    if secret.startswith(CLIENT_SECRET_PREFIX):
        found = find_client_secret(secret)
        return (found.token, found.settings) if found else None
    token = find_token(secret)
    return (token, None) if token else None


def _token_in(subprotocols: list[str]) -> str | None:
    for name in subprotocols:
        for prefix in TOKEN_SUBPROTOCOLS:
            if name.startswith(prefix):
                return name.removeprefix(prefix)
    return None
