"""Spans of OpenTelemetry, in processes that export them: `use` is called there.

Elsewhere a span costs nothing, and OpenTelemetry need not be installed. Attributes are few and name
neither a user nor what was said; only the type of an error is recorded, because messages may quote
a transcript.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_tracer: Any = None  # opentelemetry.trace.Tracer


def start_export(version: str = "") -> Any:
    """Export the spans of this process over OTLP, configured by the standard variables. Returns the
    provider, whose `shutdown` sends pending spans. Raises ImportError."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    os.environ.setdefault("OTEL_SERVICE_NAME", "transcodio")
    provider = TracerProvider(resource=Resource.create({"service.version": version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider.get_tracer("transcodio", version))
    return provider


def use(tracer: Any) -> None:
    """Record spans with this tracer from now on; None: record no more."""
    global _tracer
    _tracer = tracer


def is_enabled() -> bool:
    """Whether this process records spans."""
    return _tracer is not None


@contextmanager
def span(name: str, parent: Any = None, **attributes: str | int) -> Iterator[Any]:
    """Record a span while the body runs. Yields it, or None if this process records none.

    `parent` is the OpenTelemetry context of another process; by default, the current span.
    """
    if _tracer is None:
        yield None
        return
    with _tracer.start_as_current_span(
        name,
        context=parent,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            mark_failed(current, error)
            raise


def mark_failed(current: Any, error: BaseException) -> None:
    """Record that a span has ended with this error."""
    from opentelemetry.trace import StatusCode

    current.set_status(StatusCode.ERROR)
    current.set_attribute("error.type", type(error).__qualname__)


def leave() -> None:
    """Whatever follows in this context does not belong to the current trace."""
    if _tracer is not None:
        from opentelemetry import context

        context.attach(context.Context())


def traceparent() -> str:
    """The current span for another process, as W3C Trace Context defines; empty without one."""
    headers: dict[str, str] = {}
    if _tracer is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(headers)
    return headers.get("traceparent", "")


def parent_from(traceparent: str) -> Any:
    """The OpenTelemetry context of the span that another process sent; None without one."""
    if _tracer is None or not traceparent:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent})


def current_ids() -> dict[str, str]:
    """`trace_id` and `span_id` of the current span, in hexadecimal; empty without one."""
    if _tracer is None:
        return {}
    from opentelemetry import trace

    current = trace.get_current_span().get_span_context()
    if not current.is_valid:
        return {}
    return {
        "trace_id": trace.format_trace_id(current.trace_id),
        "span_id": trace.format_span_id(current.span_id),
    }
