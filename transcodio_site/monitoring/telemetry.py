"""Export of spans over OTLP, if OTEL_EXPORTER_OTLP_ENDPOINT is set, and their propagation through
Celery.

The SDK reads the other standard variables itself, such as OTEL_EXPORTER_OTLP_HEADERS,
OTEL_SERVICE_NAME and OTEL_TRACES_SAMPLER.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from gpu import tracing
from transcodio_site import __version__

NOT_INSTALLED = "{variable} is set, but a package is missing: pip install -r {requirements}"
REQUIREMENTS = "requirements/telemetry.txt"

_provider: Any = None
# The span of the current task, and what ends it.
_task = ContextVar[tuple[Any, ExitStack] | None]("task", default=None)


def start() -> None:
    """Export the spans of this process, if configured. Raises ImproperlyConfigured."""
    global _provider
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return
    try:
        _provider = tracing.start_export(__version__)
    except ImportError:
        raise missing_package("OTEL_EXPORTER_OTLP_ENDPOINT") from None


def missing_package(variable: str) -> ImproperlyConfigured:
    """The error for a variable whose optional package is not installed."""
    return ImproperlyConfigured(NOT_INSTALLED.format(variable=variable, requirements=REQUIREMENTS))


def stop() -> None:
    """Send pending spans, and record no more."""
    if _provider:
        tracing.use(None)
        _provider.shutdown()


# --- Celery -------------------------------------------------------------------------------------


def inject(headers: dict[str, Any]) -> None:
    """Add the current span to the headers of a message."""
    if traceparent := tracing.traceparent():
        headers["traceparent"] = traceparent


def begin_task(name: str, traceparent: str) -> None:
    """Begin the span of a task, if it was enqueued by something that is traced: periodic tasks
    would only drown out the others."""
    if parent := tracing.parent_from(traceparent):
        span: AbstractContextManager[Any] = tracing.span(name, parent)
        stack = ExitStack()
        _task.set((stack.enter_context(span), stack))


def end_task(error: object = None) -> None:
    """End the span of the current task. `error` is the exception that it raised."""
    if task := _task.get():
        span, stack = task
        _task.set(None)
        if isinstance(error, Exception):
            tracing.mark_failed(span, error)
        stack.close()
    tracing.leave()
