"""Middleware of monitoring."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import resolve

PROBED_PATHS = {"/health", "/health/live", "/health/ready", "/metrics"}


def answer_probes(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Answer requests of monitoring before whatever looks at host, scheme, session or rate.

    Kubernetes and Prometheus send the address of the container as Host, over plain HTTP.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path in PROBED_PATHS and request.method in ("GET", "HEAD"):
            response: HttpResponse = resolve(request.path).func(request)
            return response
        return get_response(request)

    return middleware
