"""Middleware of monitoring."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import resolve

from gpu import tracing
from transcodio_site.logs import current_request_id
from transcodio_site.monitoring.metrics import http_seconds

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PROBED_PATHS = {"/health", "/health/live", "/health/ready", "/metrics"}


def answer_probes(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Answer monitoring requests before any check of host, scheme, session or rate.

    Kubernetes and Prometheus send the address of the container as Host, over plain HTTP.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path in PROBED_PATHS and request.method in ("GET", "HEAD"):
            response: HttpResponse = resolve(request.path).func(request)
            return response
        return get_response(request)

    return middleware


def measure_requests(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Count requests, and measure how long it takes until their response begins."""

    def middleware(request: HttpRequest) -> HttpResponse:
        began_at = time.monotonic()
        response = get_response(request)
        method = request.method if request.method in METHODS else "other"
        status = f"{response.status_code // 100}xx"
        http_seconds.labels(method, status).observe(time.monotonic() - began_at)
        return response

    return middleware


def trace_requests(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Record a span until the response begins, named after the route: paths and queries may hold
    ids, search terms and secrets."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with tracing.span(str(request.method)) as span:
            response = get_response(request)
            if span:
                route = request.resolver_match.route if request.resolver_match else ""
                span.update_name(f"{request.method} /{route}")
                span.set_attribute("http.request.method", str(request.method))
                span.set_attribute("http.route", f"/{route}")
                span.set_attribute("http.response.status_code", response.status_code)
                span.set_attribute("request_id", current_request_id())
            return response

    return middleware
