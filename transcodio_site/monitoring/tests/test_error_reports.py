"""Error reports have only fields that cannot hold what a user wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars

from transcodio_site.monitoring.error_reports import only_what_is_known
from transcodio_site.testing import ROOT

SECRET = "What was said"
FRAME = {"function": "f", "filename": "a.py", "lineno": 1, "context_line": "x = y"}
EVENT: dict[str, Any] = {
    "event_id": "1",
    "level": "error",
    "transaction": "/transcriptions/{id}/",
    "transaction_info": {"source": "route"},
    "logentry": {"message": "%s failed", "params": [SECRET], "formatted": SECRET},
    "exception": {
        "values": [
            {"type": "ValueError", "value": SECRET, "module": None}
            | {"stacktrace": {"frames": [FRAME | {"vars": {"text": SECRET}}]}}
        ]
    },
    "request": {"url": f"https://x/?q={SECRET}", "headers": {"Cookie": SECRET}, "data": SECRET},
    "user": {"email": SECRET},
    "extra": {"celery-job": {"args": [SECRET]}},
    "contexts": {"celery": SECRET},
    "breadcrumbs": {"values": [{"message": SECRET}]},
    "tags": {"title": SECRET},
    "some_new_field": SECRET,
}


@pytest.mark.covers("attack", "An error report quotes a transcript, a cookie or a search")
def test_unknown_fields_and_messages_are_dropped() -> None:
    with bound_contextvars(request_id="r-1", job_id=SECRET, task="accounts.tasks.send_email"):
        kept = only_what_is_known(EVENT, {})
    assert SECRET not in json.dumps(kept)
    assert kept["tags"] == {"request_id": "r-1", "task": "accounts.tasks.send_email"}
    assert kept["logentry"] == {"message": "%s failed"}
    (exception,) = kept["exception"]["values"]
    assert exception["type"] == "ValueError"
    assert exception["stacktrace"]["frames"] == [FRAME]
    assert kept["transaction"] == "/transcriptions/{id}/"


def test_path_of_no_route_is_dropped() -> None:
    event = EVENT | {"transaction": "/invited/a-secret/", "transaction_info": {"source": "url"}}
    assert "transaction" not in only_what_is_known(event, {})


def modules_after_start(**environment: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import django, sys; django.setup(); "
        "print(sorted({'opentelemetry.exporter', 'sentry_sdk'} & set(sys.modules)))"
    )
    variables = {"DJANGO_SETTINGS_MODULE": "transcodio_site.settings"} | environment
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_nothing_is_imported_unless_it_is_configured() -> None:
    assert modules_after_start().stdout == "[]\n"


@pytest.mark.parametrize(
    ("variable", "package"),
    [("OTEL_EXPORTER_OTLP_ENDPOINT", "opentelemetry"), ("SENTRY_DSN", "sentry_sdk")],
)
def test_missing_package_is_named(variable: str, package: str, tmp_path: Any) -> None:
    (tmp_path / f"{package}.py").write_text("raise ImportError\n")
    address = {variable: "http://key@127.0.0.1:9/1", "PYTHONPATH": str(tmp_path)}
    done = modules_after_start(**address)
    assert done.returncode == 1
    assert f"{variable} is set, but a package is missing: pip install -r" in done.stderr


def test_packages_of_telemetry_fit_those_of_the_service() -> None:
    base, telemetry = (
        set((ROOT / "requirements" / f"{name}.txt").read_text().split())
        for name in ("base", "telemetry")
    )
    assert base < telemetry
