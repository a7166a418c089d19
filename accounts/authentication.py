"""Who is calling: a token in the Authorization header, or the session of a signed-in person."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from ninja.security import HttpBearer, SessionAuth

from accounts.models import ApiToken, User, digest_of


def user_of_token(secret: str) -> User | None:
    """The active owner of an API token, or None. Looked up by hash: equality leaks no timing."""
    token = ApiToken.objects.select_related("user").filter(digest=digest_of(secret)).first()
    if token is None or not token.user.is_active:
        return None
    token.touch()
    return token.user


class TokenAuth(HttpBearer):
    """`Authorization: Bearer tk_...`"""

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        """Puts the owner on the request, so that views read `request.user` in both cases."""
        user = user_of_token(token)
        if user is not None:
            request.user = user
        return user


class PageAuth(SessionAuth):
    """The session cookie of the pages, with Django's CSRF check."""

    def __call__(self, request: HttpRequest) -> User | AnonymousUser | None:
        """A request that carries a token is judged by the token alone; and who is not signed in
        is told so, rather than that a CSRF token is missing."""
        if "Authorization" in request.headers or not request.user.is_authenticated:
            return None
        return super().__call__(request)


api_auth = [TokenAuth(), PageAuth()]
