"""What surrounds every request: uploads that are closed, and headers that every page carries."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_only_middleware
from django.utils.deprecation import MiddlewareMixin

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        # Swagger's and the admin's own pages set style attributes.
        "style-src 'self' 'unsafe-inline'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


class ContentSecurityPolicyMiddleware(MiddlewareMixin):
    """Only our own scripts run: a transcript or a file name can never become code."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Sets the policy unless the view has set its own."""
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


@sync_only_middleware
def close_uploads(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Temporary files of uploads are gone when the answer is made.

    Django closes them after it has sent the answer, unless the client hangs up just then.
    Being synchronous, this also keeps all that it surrounds in one thread, which nobody cancels.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            return get_response(request)
        finally:
            request.close()

    return middleware
