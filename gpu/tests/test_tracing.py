"""Spans: nothing without a tracer, and only the type of an error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from gpu import tracing


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider.get_tracer("test"))
    yield exporter
    tracing.use(None)


def test_without_tracer_a_span_does_nothing() -> None:
    with tracing.span("work") as span:
        assert span is None
        assert tracing.current_ids() == {}
    tracing.leave()


@pytest.mark.covers("attack", "Someone searches traces for what users said")
def test_span_of_an_error_has_its_type_and_not_its_message(exported: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="what was said"), tracing.span("work", job_id="7"):
        raise ValueError("what was said")
    (span,) = exported.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes == {"job_id": "7", "error.type": "ValueError"}
    assert "what was said" not in span.to_json()


def test_ids_of_the_log_are_those_of_the_current_span(exported: InMemorySpanExporter) -> None:
    with tracing.span("outer"):
        outer = tracing.current_ids()
        with tracing.span("inner"):
            inner = tracing.current_ids()
    assert inner["trace_id"] == outer["trace_id"]
    assert inner["span_id"] != outer["span_id"]
    assert tracing.current_ids() == {}


def test_work_of_another_request_gets_a_trace_of_its_own(exported: InMemorySpanExporter) -> None:
    with tracing.span("task"):
        tracing.leave()
        with tracing.span("work"):
            pass
    work, task = exported.get_finished_spans()
    assert work.parent is None
    assert work.context.trace_id != task.context.trace_id
