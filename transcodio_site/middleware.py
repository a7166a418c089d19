"""Headers that every page carries."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
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
