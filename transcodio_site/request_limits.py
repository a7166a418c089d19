"""Middleware: rate limits of pages and of anonymous requests, and characters that cannot be stored.

The APIs count requests with a token or a session themselves: see accounts/authentication.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import unquote

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin
from django.views.defaults import bad_request

from accounts import rate_limits
from accounts.authentication import sent_token
from accounts.rate_limits import Throttled
from transcodio_site.middleware import API_PATHS

log = logging.getLogger(__name__)

# What a lookup raises if its value does not have the type of its field, or exceeds the range of its
# column. The filters, actions and URLs of the admin site do not check for this.
INVALID_VALUE = (DataError, ValidationError)
INVALID_IN_ADMIN = (*INVALID_VALUE, ValueError, OverflowError)


def reject_null_characters(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answer 400 to a NUL, which Postgres cannot store, in path, headers, cookies or page queries.

    The APIs name the invalid parameter themselves, and forms their field.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        values = [request.path, *request.headers.values(), *request.COOKIES.values()]
        if not request.path.startswith(API_PATHS):
            values.append(unquote(request.META.get("QUERY_STRING", "")))
        if any("\0" in value for value in values):
            return bad_request(request, ValueError("a NUL character"))
        return get_response(request)

    return middleware


class RequestLimitMiddleware(MiddlewareMixin):
    """Count pages and anonymous requests, and turn Throttled into a page with status 429."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Answer 429 above the limit."""
        try:
            _count(request)
        except Throttled as error:
            return too_many_requests(request, error)
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Turn errors that views of pages raise into pages."""
        if isinstance(exception, Throttled):
            return too_many_requests(request, exception)
        in_admin = request.path.startswith(reverse("admin:index"))
        if isinstance(exception, INVALID_IN_ADMIN if in_admin else INVALID_VALUE):
            log.warning("invalid value in a request", exc_info=exception)
            return bad_request(request, exception)
        return None


def too_many_requests(request: HttpRequest, error: Throttled) -> HttpResponse:
    """The page with the reason. The APIs send it as JSON: see `errors_as_json`."""
    response = render(request, "429.html", {"reason": str(error)}, status=429)
    response.headers["Retry-After"] = str(error.wait)
    return response


def _count(request: HttpRequest) -> None:
    is_api = request.path.startswith(API_PATHS)
    if is_api and sent_token(request) is not None:
        return
    # Without the cookie, the session is not even accessed: the response would then vary on it.
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_authenticated:
        rate_limits.count_anonymous(request)
    elif not is_api:
        rate_limits.count_page(request)
