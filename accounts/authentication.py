"""Authentication of requests: by an API token in a header, or by session."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import wraps

from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from ninja.security import APIKeyQuery, HttpBearer, SessionAuth

from accounts import rate_limits
from accounts.client_ip import get_client_ip
from accounts.models import ApiToken, Scope, User
from accounts.read_tokens import find_read_token
from accounts.tokens import TOKEN_PREFIX, find_token, find_token_by_id, record_token_use

READ_METHODS = ("GET", "HEAD", "OPTIONS")
TOKEN_SCHEMES = ("bearer", "token")
TOKEN_HEADER = "X-API-Key"  # noqa: S105 - the name of a header


def polled(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For a part of a page that the page polls: without a session it is 401, and the page stays as
    it is. A redirect would put the sign-in page into it."""

    @wraps(view)
    def checked(request: HttpRequest, *args: object, **options: object) -> HttpResponse:
        if not request.user.is_authenticated:
            return HttpResponse(status=401)
        return view(request, *args, **options)

    return checked


class InsufficientScope(Exception):
    """The token is valid, but lacks the scope that the operation needs (RFC 6750, section 3.1)."""

    def __init__(self, scope: str) -> None:
        message = gettext("This token lacks the scope %(scope)s. Create a token that has it.")
        super().__init__(message % {"scope": scope})
        self.scope = scope


class SessionRequired(Exception):
    """A token was sent to an operation that only a signed-in user may call."""

    def __init__(self) -> None:
        super().__init__(
            gettext(
                "API tokens cannot be managed with an API token. "
                "Create, list and revoke them on the page API tokens of the web app, or with its "
                "session."
            )
        )


def authenticated_user(request: HttpRequest) -> User:
    """The user of a request, in views that require authentication. Raises TypeError elsewhere."""
    if not isinstance(request.user, User):
        raise TypeError("a view without authentication")
    return request.user


def sent_token(request: HttpRequest) -> str | None:
    """The API token that the request carries, valid or not; None if it carries none.

    `Authorization: Bearer` is the standard. Some clients send `Authorization: Token`, or
    `X-API-Key`, also where a proxy uses the Authorization header itself. Those that accept nothing
    but a URL send the token as its password: `https://any:tk_...@host`.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in TOKEN_SCHEMES:
        return token.strip()
    if TOKEN_HEADER in request.headers:
        return request.headers[TOKEN_HEADER]
    return _password(token) if scheme.lower() == "basic" else None


def _password(credentials: str) -> str | None:
    """The password of basic authentication (RFC 7617); None if it is not an API token."""
    try:
        password = base64.b64decode(credentials).decode().partition(":")[2]
    except ValueError:
        return None
    return password if password.startswith(TOKEN_PREFIX) else None


def request_token(request: HttpRequest) -> ApiToken | None:
    """The token that authenticated the request; None for a session."""
    return getattr(request, "api_token", None)


def is_session_valid(user: User, session: SessionBase) -> bool:
    """Whether the session still signs in `user`: the account is active, the password has not
    changed since `user` was loaded, and the session has not been ended."""
    key = session.session_key
    unchanged = User.objects.filter(pk=user.pk, is_active=True, password=user.password).exists()
    return unchanged and key is not None and session.exists(key)


def is_still_authorized(request: HttpRequest) -> bool:
    """Whether the request would still be authenticated now: for responses that take long."""
    token = request_token(request)
    if token is None:
        return is_session_valid(authenticated_user(request), request.session)
    return find_token_by_id(token.pk) is not None


class TokenAuth(HttpBearer):
    """An API token in a header, with `scope` or else the scope that the method needs."""

    def __init__(self, scope: Scope | None = None) -> None:
        super().__init__()
        self.scope = scope

    def __call__(self, request: HttpRequest) -> User | None:
        """Authenticate by the token, if there is one. Raises InsufficientScope, Throttled."""
        token = sent_token(request)
        return None if token is None else self.authenticate(request, token)

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        """Set `request.user` to the owner of the token, so that views need not care which
        authentication was used.

        Raises InsufficientScope, Throttled.
        """
        row = find_token(token)
        if row is None:
            rate_limits.count_wrong_token(request)
            return None
        rate_limits.count_request(request, row.user, row)
        record_token_use(row, get_client_ip(request))
        scope = self.scope or (Scope.READ if request.method in READ_METHODS else Scope.WRITE)
        if scope not in row.scopes:
            raise InsufficientScope(scope)
        return _set_user(request, row)


class ReadTokenAuth(APIKeyQuery):
    """A read token in the URL, for the recording that the URL names."""

    param_name = "token"

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:
        """Set `request.user` to the owner of the API token behind it. Raises Throttled."""
        if not key or request.resolver_match is None:
            return None
        row = find_read_token(key, str(request.resolver_match.kwargs["transcription_id"]))
        if row is None:
            rate_limits.count_wrong_token(request)
            return None
        rate_limits.count_request(request, row.user, row)
        request.has_read_token = True  # type: ignore[attr-defined]
        return _set_user(request, row)


def _set_user(request: HttpRequest, token: ApiToken) -> User:
    request.user = token.user
    request.api_token = token  # type: ignore[attr-defined]
    return token.user


def has_read_token(request: HttpRequest) -> bool:
    """Whether a read token authenticated the request: a page of another site may have sent it."""
    return getattr(request, "has_read_token", False)


class WebSessionAuth(SessionAuth):
    """The session cookie of the web app, with Django's CSRF check.

    With `reject_tokens`, a valid token is refused with SessionRequired rather than as missing
    authentication.
    """

    def __init__(self, reject_tokens: bool = False) -> None:
        super().__init__()
        self.reject_tokens = reject_tokens

    def __call__(self, request: HttpRequest) -> User | AnonymousUser | None:
        """Authenticate by session, but never a request with other credentials.

        Visitors get 401 before the CSRF check would give them 403. Requests are counted before
        that check, which may read the body. Raises Throttled, SessionRequired.
        """
        token = sent_token(request)
        if self.reject_tokens and token:
            if find_token(token):
                raise SessionRequired
            rate_limits.count_wrong_token(request)
        has_credentials = token is not None or "Authorization" in request.headers
        if has_credentials or not request.user.is_authenticated:
            return None
        rate_limits.count_request(request, authenticated_user(request))
        return super().__call__(request)


api_auth = [TokenAuth(), WebSessionAuth()]
# For operations that change nothing although their method is POST.
read_auth = [TokenAuth(Scope.READ), WebSessionAuth()]
# For what browsers fetch by URL alone. The read token comes first: the user who is signed in here
# may be somebody else.
url_auth = [TokenAuth(), ReadTokenAuth(), WebSessionAuth()]
