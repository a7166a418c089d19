"""Who is calling: a token in the Authorization header, or the session of a signed-in person."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from ninja.security import HttpBearer, SessionAuth

from accounts import rate_limits
from accounts.client_ip import client_address
from accounts.models import ApiToken, Scope, User
from accounts.tokens import find_token, record_token_use

READING = ("GET", "HEAD", "OPTIONS")


class ScopeMissing(Exception):
    """The token is valid, but not for this."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This token lacks the scope {scope}: make one that has it.")
        self.scope = scope


def authenticated_user(request: HttpRequest) -> User:
    """Who is calling, in views that stand behind authentication."""
    if not isinstance(request.user, User):
        raise TypeError("a view without authentication")
    return request.user


def token_used(request: HttpRequest) -> ApiToken | None:
    """The token by which the request came; None if it came with a session."""
    return getattr(request, "api_token", None)


class SessionNeeded(Exception):
    """A token was sent where only the person themselves may act."""

    def __init__(self) -> None:
        super().__init__(
            "Tokens are made, seen and revoked on the settings page, or with its session: "
            "a token cannot do that."
        )


def stays_signed_in(user: User, session: SessionBase) -> bool:
    """Whether nobody has closed the account, changed its password, or ended the session, since it
    was loaded."""
    key = session.session_key
    open_ = User.objects.filter(pk=user.pk, is_active=True, password=user.password).exists()
    return open_ and key is not None and session.exists(key)


def is_still_authorized(request: HttpRequest) -> bool:
    """Whether whoever was let in would be let in now: for answers that take long."""
    used = token_used(request)
    if used is None:
        return stays_signed_in(authenticated_user(request), request.session)
    token = ApiToken.objects.select_related("user").filter(pk=used.pk).first()
    return token is not None and not token.is_expired and token.user.is_active


class TokenAuth(HttpBearer):
    """`Authorization: Bearer tk_...`, with the scope that is given, or that the method needs."""

    def __init__(self, scope: Scope | None = None) -> None:
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        """Puts the owner on the request, so that views read `request.user` in both cases.

        Raises ScopeMissing, TooMany.
        """
        row = find_token(token)
        if row is None:
            return None
        rate_limits.count(request, row.user, row)
        record_token_use(row, client_address(request))
        needed = self.scope or (Scope.READ if request.method in READING else Scope.WRITE)
        if needed not in row.scopes:
            raise ScopeMissing(needed)
        request.user = row.user
        request.api_token = row  # type: ignore[attr-defined]
        return row.user


class PageAuth(SessionAuth):
    """The session cookie of the pages, with Django's CSRF check; `alone` where no token will do."""

    def __init__(self, alone: bool = False) -> None:
        super().__init__()
        self.alone = alone

    def __call__(self, request: HttpRequest) -> User | AnonymousUser | None:
        """A request that carries a token is judged by the token alone; and who is not signed in
        is told so, rather than that a CSRF token is missing. Raises TooMany, SessionNeeded."""
        if self.alone and find_token(request.headers.get("Authorization", "").partition(" ")[2]):
            raise SessionNeeded
        if "Authorization" in request.headers or not request.user.is_authenticated:
            return None
        user = super().__call__(request)
        if isinstance(user, User):
            rate_limits.count(request, user)
        return user


api_auth = [TokenAuth(), PageAuth()]
