"""One trace leads from the caller into the container."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gpu import config, tracing
from gpu.modal.container import TELEMETRY_PACKAGES
from gpu.modal.engine import ModalEngine
from gpu.tests.modal.conftest import Run, never
from gpu.tests.modal.control_plane import ControlPlane
from gpu.types import Audio, Complete
from transcodio_site.testing import wait_until
from transcodio_site.testing_collector import Collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    """The spans of this process."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider.get_tracer("test"))
    yield exporter
    tracing.use(None)


@pytest.mark.slow
def test_span_of_the_container_belongs_to_the_call(
    plane: ControlPlane,
    cli: Run,
    audio: Audio,
    collector: Collector,
    exported: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    assert cli("deploy", "gpu/app.py", MODAL_APP="traced", **variables).returncode == 0
    monkeypatch.setattr(config, "MODAL_APP", "traced")
    assert isinstance(list(ModalEngine().stream(audio, never))[-1], Complete)
    wait_until(lambda: collector.spans)
    (inside,) = collector.spans
    (call,) = exported.get_finished_spans()
    assert (inside.name, call.name) == ("gpu.transcribe", "modal.transcribe_stream")
    assert call.context
    assert inside.trace_id == call.context.trace_id.to_bytes(16)
    assert inside.parent_span_id == call.context.span_id.to_bytes(8)
    function = plane.functions[plane.layouts[plane.apps["traced"]].function_ids["KyutaiSTTModel.*"]]
    commands = "\n".join(plane.image_commands(function.image_id))
    assert all(package in commands for package in TELEMETRY_PACKAGES)
    assert collector.address not in commands  # the variables are a secret
