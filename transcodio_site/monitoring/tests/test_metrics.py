"""Metrics: what the database, the broker and the processes say, and who may see it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from django.test import Client
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from accounts import concurrency
from accounts.models import User
from transcodio_site.monitoring import metrics, parts, processes, server
from transcodio_site.monitoring.shared_check import SharedCheck
from transcodio_site.supervisor import free_port
from transcodio_site.testing import WAIT_S

TOKEN = "a-long-random-token"
BEARER: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}
LOCAL: dict[str, Any] = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}


@pytest.fixture(autouse=True)
def busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is time for all metrics, and none is left from another test."""
    for module in (parts, metrics):
        monkeypatch.setattr(module, "TIMEOUT_S", WAIT_S)
    parts.parts.cache_clear()
    metrics._sources.cache_clear()


# --- Of this process ---------------------------------------------------------------------------


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_watchers_are_counted(alice: User) -> None:
    before = counted("transcodio_watchers")
    with concurrency.streams.hold(alice), concurrency.streams.hold(alice):
        assert counted("transcodio_watchers") == before + 2
    assert counted("transcodio_watchers") == before


def test_requests_are_measured(db: None) -> None:
    labels = {"method": "GET", "status": "4xx"}
    before = counted("transcodio_http_request_seconds_count", **labels)
    Client().get("/nowhere")
    Client().get("/health/live")  # not a request of a user
    assert counted("transcodio_http_request_seconds_count", **labels) == before + 1


# --- The page -----------------------------------------------------------------------------------


def families(text: str) -> dict[str, dict[str, float]]:
    return {
        family.name: {"".join(s.labels.values()): s.value for s in family.samples}
        for family in text_string_to_metric_families(text)
    }


def test_page_has_each_metric_once(db: None, settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    processes.report_running("worker@here", ["preprocess"])
    response = Client().get("/metrics", **LOCAL)
    text = response.content.decode()
    types = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    found = families(text)
    assert found["transcodio_part_up"]["postgres"] == 1
    assert found["transcodio_processes"]["preprocess"] == 1
    for metric in ("transcodio_disk_free_bytes", "transcodio_disk_size_bytes"):
        assert found[metric]["data"] > 0
        assert found[metric]["recordings"] > 0
    assert set(found["transcodio_queue_age_seconds"]) >= {"mail"}


@pytest.mark.covers("fault", "Postgres is down while Prometheus scrapes metrics")
def test_page_without_the_database(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise OSError("away")

    monkeypatch.setattr(parts, "_check_postgres", fail)
    monkeypatch.setattr(metrics, "_sources", lambda: [SharedCheck(fail, 0)])
    response = Client().get("/metrics", **LOCAL)
    parts.parts.cache_clear()  # whose checks include the failing one
    assert response.status_code == 200
    found = families(response.content.decode())
    assert found["transcodio_part_up"]["postgres"] == 0
    assert "transcodio_jobs" not in found


# --- Who may see it -----------------------------------------------------------------------------


@pytest.mark.covers("attack", "A stranger reads the metrics")
@pytest.mark.parametrize(
    "headers",
    [
        {"REMOTE_ADDR": "203.0.113.9"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_HOST": "rebound.example"},
        {"HTTP_HOST": "localhost.evil.example"},
        {"REMOTE_ADDR": ""},
    ],
)
def test_metrics_without_token_are_for_this_machine_only(db: None, headers: dict[str, str]) -> None:
    response = Client().get("/metrics", **(LOCAL | headers))
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
    assert b"transcodio_" not in response.content


def test_metrics_with_token(db: None, settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    remote: dict[str, Any] = {"REMOTE_ADDR": "203.0.113.9", "HTTP_HOST": "10.1.2.3:8000"}
    assert Client().get("/metrics", **remote, **BEARER).status_code == 200
    for wrong in ("", "Bearer wrong", TOKEN):
        headers = LOCAL | {"HTTP_AUTHORIZATION": wrong}
        assert Client().get("/metrics", **headers).status_code == 401


@pytest.fixture
def worker_port() -> Iterator[int]:
    port = free_port()
    running = server.serve_metrics(port)
    assert running
    yield port
    running.shutdown()
    running.server_close()


def fetch(port: int, path: str = "/metrics", **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as response:  # noqa: S310
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_worker_serves_its_own_metrics(worker_port: int, settings: Any) -> None:
    status, text = fetch(worker_port)
    assert status == 200
    assert "transcodio_stage_seconds" in families(text)
    assert fetch(worker_port, "/")[0] == 404
    assert fetch(worker_port, Host="rebound.example")[0] == 401
    settings.METRICS_TOKEN = TOKEN
    assert fetch(worker_port)[0] == 401
    assert fetch(worker_port, authorization=f"Bearer {TOKEN}")[0] == 200


def test_worker_goes_on_without_its_port(worker_port: int, caplog: Any) -> None:
    assert server.serve_metrics(worker_port) is None
    assert f"no metrics on port {worker_port}" in caplog.text
