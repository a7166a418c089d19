"""Headers for caches and browsers on every response, whichever part produced it.

They are safe by default: only a response that says `Cache-Control: public` may be stored, and only
HTML may load anything. The middleware is listed first in MIDDLEWARE, so that redirects, static
files and errors of other middleware pass it too. Responses of the server itself call the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control, patch_vary_headers

from accounts.authentication import TOKEN_HEADER
from transcriptions.exceptions import StorageUnavailable
from transcriptions.storage.base import recording_storage

View = Callable[[HttpRequest], HttpResponse]

# The style sheet that wavesurfer adds to the page. Chromium's console names the new hash if a
# version of wavesurfer, or the height in player-waveform.js, changes it.
WAVESURFER_STYLE = "'sha256-Txpp2hh5OoXvJGhUxJbFyEnnoWJBIRJRY/mg0M3HqKc='"

PAGE_DIRECTIVES = (
    "default-src 'self'",
    "img-src 'self' data:",  # the QR code of two-factor authentication
    f"style-src 'self' {WAVESURFER_STYLE}",
    "object-src 'none'",
    "frame-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)
# For everything that is not a page: uploads, exports, JSON. Opened in a tab, it has no origin, runs
# no script and loads nothing.
FILE_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)
# For the service worker: its modules, and the requests that it passes on.
WORKER_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'"
# The microphone, or the sound of a tab or the system, is for live speech. Everything else that
# needs the user's permission, or reads a sensor, is off.
DISABLED_FEATURES = (
    *("accelerometer", "camera", "geolocation", "gyroscope", "hid"),
    *("magnetometer", "midi", "payment", "serial", "usb"),
)
PERMISSIONS_POLICY = ", ".join(
    [
        *(f"{name}=(self)" for name in ("microphone", "display-capture")),
        *(f"{name}=()" for name in DISABLED_FEATURES),
    ]
)


def page_policy(storage_origin: str = "") -> str:
    """The Content-Security-Policy of pages. If clients use an object storage directly, pages may
    play recordings from there and upload to it."""
    return "; ".join((*PAGE_DIRECTIVES, *_storage_directives(storage_origin)))


def _storage_directives(origin: str) -> Iterator[str]:
    if origin:
        yield f"media-src 'self' {origin}"
        yield f"connect-src 'self' {origin}"


def cache_headers(get_response: View) -> View:
    """Middleware: forbid storing a response, unless it is public."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return with_cache_headers(get_response(request))

    return middleware


def security_headers(get_response: View) -> View:
    """Middleware: tell the browser what the response may do. A view can set its own header."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return with_security_headers(get_response(request))

    return middleware


def with_cache_headers(response: HttpResponse) -> HttpResponse:
    """The response, which may not be stored unless it is marked as public and sets no cookie.

    Browsers would otherwise show a transcript to the next user of the computer, from their cache
    or with the Back button, after its owner has signed out.
    """
    directives = response.get("Cache-Control", "").lower().split(",")
    if "public" not in map(str.strip, directives) or response.cookies:
        patch_cache_control(response, private=True, no_store=True)
        patch_vary_headers(response, ("Authorization", TOKEN_HEADER, "Cookie"))
    return response


def _page_policy() -> str:
    storage = recording_storage()
    try:
        return page_policy(storage.origin if storage.direct else "")
    except StorageUnavailable:  # such as no credentials: pages work, but without recordings
        return page_policy()


def with_security_headers(response: HttpResponse) -> HttpResponse:
    """The response with a policy for pages or for files, and the headers that both have."""
    headers = {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": PERMISSIONS_POLICY,
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": settings.X_FRAME_OPTIONS,
    }
    # Browsers would replace the policy of a stored page with that of a 304 response, which has no
    # content type.
    if response.status_code != HTTPStatus.NOT_MODIFIED:
        is_page = response.get("Content-Type", "").startswith("text/html")
        headers["Content-Security-Policy"] = _page_policy() if is_page else FILE_POLICY
    for name, value in headers.items():
        response.headers.setdefault(name, value)
    return response
