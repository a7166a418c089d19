"""Health and metrics, for load balancers and monitoring."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from transcodio_site import __version__
from transcodio_site.monitoring.access import REFUSAL, is_operator
from transcodio_site.monitoring.metrics import CONTENT_TYPE, of_installation, of_process
from transcodio_site.monitoring.parts import Result, named, parts, results


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """200: this process answers. Nothing else is checked."""
    return JsonResponse({"status": "live", "version": __version__})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Every part with its result and delay; only operators see why a part has failed.

    503 if a part has failed that this process needs to serve users. Without a worker or the
    scheduler it can, and a load balancer must keep it: the status is then "degraded", with 200.
    """
    found = results(parts())
    failed = [part for part in parts() if not found[part.name].ok]
    unavailable = any(part.essential for part in failed)
    status = "unavailable" if unavailable else "degraded" if failed else "ready"
    details = _is_operator(request)
    body = {"status": status, "version": __version__}
    shown = {name: _as_json(result, details) for name, result in found.items()}
    return JsonResponse(body | {"parts": shown}, status=503 if unavailable else 200)


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200 when Postgres and Valkey answer, else 503. `checks` has the result of each."""
    found = results(named("postgres", "valkey"))
    healthy = all(result.ok for result in found.values())
    checks = {name: "ok" if result.ok else "unavailable" for name, result in found.items()}
    body = {"status": "healthy" if healthy else "unhealthy", "version": __version__}
    return JsonResponse(body | {"checks": checks}, status=200 if healthy else 503)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics of this process and of the installation, only for operators."""
    if not _is_operator(request):
        challenge = {"WWW-Authenticate": "Bearer"}
        return HttpResponse(REFUSAL, status=401, content_type="text/plain", headers=challenge)
    return HttpResponse(of_process() + of_installation(), content_type=CONTENT_TYPE)


def _is_operator(request: HttpRequest) -> bool:
    return is_operator(request.META.get("REMOTE_ADDR", ""), dict(request.headers))


def _as_json(result: Result, details: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"ok": result.ok, "ms": result.milliseconds}
    return shown | {"detail": result.detail} if details else shown
