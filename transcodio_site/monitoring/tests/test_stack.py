"""A running installation that is monitored: a trace, an error report, metrics, a crash loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from celery import Celery

from transcodio_site import embedded
from transcodio_site.monitoring.processes import MANY_RESTARTS
from transcodio_site.supervisor import free_port
from transcodio_site.testing import Media, Stack, wait_until
from transcodio_site.testing_collector import Collector, attributes

pytestmark = pytest.mark.slow  # a stack of its own

METRICS_TOKEN = "a-long-random-token"
SECRETS = ("alice@example.com", "tk_0123456789abcdefghij", "The spoken words", "My diary")


class MonitoredStack(Stack):
    """A stack that exports spans, reports errors, and whose worker serves its metrics."""

    collector: Collector
    metrics_port: int

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.collector.address}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "SENTRY_DSN": f"http://key@{self.collector.address}/1",
            "LOG_FORMAT": "json",
            "METRICS_TOKEN": METRICS_TOKEN,
            "METRICS_PORT": str(self.metrics_port),
        }


@contextmanager
def running_stack(folder: Path) -> Iterator[MonitoredStack]:
    stack = MonitoredStack(folder)
    stack.collector, stack.metrics_port = Collector(), free_port()
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        stack.collector.close()


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitoredStack]:
    with running_stack(tmp_path_factory.mktemp("monitored")) as stack:
        yield stack


def get(url: str) -> httpx.Response:
    return httpx.get(url, headers={"Authorization": f"Bearer {METRICS_TOKEN}"})


def traced_upload(stack: MonitoredStack, recording: Path, request_id: str) -> str:
    """Upload a recording, wait until the spans of its recognition have arrived, and return its
    id."""
    headers = {"Authorization": f"Bearer {stack.token('traced@example.com')}"}
    with recording.open("rb") as file:
        upload = httpx.post(
            f"{stack.url}/api/transcriptions",
            headers=headers | {"X-Request-ID": request_id},
            files={"file": ("My diary.mp3", file)},
        )
    job_id: str = upload.json()["id"]

    def is_exported() -> bool:
        spans = stack.collector.spans
        work = {span.name for span in spans if attributes(span).get("job_id") == job_id}
        return work == {"preprocess", "transcribe"} and bool(stack.collector.trace_of(request_id))

    wait_until(is_exported)
    return job_id


def test_one_trace_from_upload_to_transcript(monitored: MonitoredStack, media: Media) -> None:
    tasks = {f"transcriptions.tasks.{name}" for name in ("preprocess", "transcribe")}
    expected = {"POST /api/transcriptions", *tasks, "preprocess", "transcribe", "engine.stream"}
    recording = media.speech("talk.mp3", 6)
    for attempt in range(5):  # a message of the periodic task, which is not traced, may be first
        job_id = traced_upload(monitored, recording, f"upload-{attempt}")
        trace = monitored.collector.trace_of(f"upload-{attempt}")
        if {"preprocess", "transcribe"} <= {span.name for span in trace}:
            break
    wait_until(
        lambda: (
            expected <= {span.name for span in monitored.collector.trace_of(f"upload-{attempt}")}
        )
    )
    trace = monitored.collector.trace_of(f"upload-{attempt}")
    names = {span.span_id: span.name for span in trace}
    parents = {span.name: names.get(span.parent_span_id) for span in trace}
    assert parents["engine.stream"] == "transcribe"
    assert "diary" not in str(monitored.collector.spans)
    # The lines of the log have the same ids.
    trace_id = trace[0].trace_id.hex()
    lines = [line for line in monitored.log().splitlines() if trace_id in line]
    assert any(job_id in line and "span_id" in line for line in lines)


@pytest.mark.covers("attack", "Someone searches error reports for what users said")
def test_error_report_has_no_text_title_address_or_token(monitored: MonitoredStack) -> None:
    broker = embedded.redis_url(monitored.var).replace("unix://", "redis+socket://")
    app = Celery(broker=broker.replace("?db=", "?virtual_host="), set_as_current=False)
    # The error of int() quotes the argument, and local variables hold it too.
    quoted = " ".join(SECRETS)
    app.send_task("transcriptions.tasks.send_quota_notice", (quoted,), {}, queue="celery")
    wait_until(lambda: any("ValueError" in report for report in monitored.collector.reports))
    report = next(report for report in monitored.collector.reports if "ValueError" in report)
    assert "transcriptions.tasks.send_quota_notice" in report
    assert "task_id" in report
    assert "notifications/tasks.py" in report
    for secret in SECRETS:
        assert secret not in "".join(monitored.collector.reports)
    wait_until(lambda: SECRETS[0] in monitored.log())  # which stays on the machine


def test_web_and_worker_serve_metrics_with_the_token(monitored: MonitoredStack) -> None:
    web, worker = f"{monitored.url}/metrics", f"http://127.0.0.1:{monitored.metrics_port}/metrics"
    for url in (web, worker):
        assert httpx.get(url).status_code == 401
        wait_until(lambda url=url: get(url).status_code == 200)  # type: ignore[misc]
    wait_until(lambda: 'transcodio_processes{role="preprocess"} 1.0' in get(web).text)
    assert "transcodio_stage_seconds" in get(worker).text
    live = f"http://127.0.0.1:{monitored.metrics_port + 1}/metrics"
    wait_until(lambda: get(live).status_code == 200)


@pytest.mark.covers("fault", "The scheduler is killed again and again")
def test_ready_names_the_process_that_keeps_stopping(monitored: MonitoredStack) -> None:
    def state() -> Any:
        return get(f"{monitored.url}/health/ready").json()

    wait_until(lambda: state()["status"] == "ready")
    assert all(part["ok"] for part in state()["parts"].values())
    killed = set[int]()
    for _ in range(MANY_RESTARTS):
        wait_until(lambda: schedulers(monitored) - killed)
        (pid,) = schedulers(monitored) - killed
        killed.add(pid)
        psutil.Process(pid).kill()
    wait_until(lambda: state()["status"] == "degraded")
    assert state()["parts"]["restarts"]["detail"].startswith("beat was restarted 3 times in 5 min")


def schedulers(stack: Stack) -> set[int]:
    assert stack.process
    found = set[int]()
    for child in psutil.Process(stack.process.pid).children():
        with suppress(psutil.Error):  # it has just been killed
            if "beat" in child.cmdline():
                found.add(child.pid)
    return found
