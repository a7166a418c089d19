"""Logs: the ids of request, task and job on every line, as text or JSON."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from io import StringIO
from typing import Any

import httpx
import pytest
from celery import shared_task
from celery.signals import before_task_publish
from django.test import Client
from structlog.contextvars import clear_contextvars

from transcodio_site.logs import bind_request, logging_config
from transcodio_site.testing import ROOT, Media, Stack, wait_until


def formatted(log_format: str, message: str, *arguments: Any, error: bool = False) -> str:
    """One line as the configured handler would write it."""
    handler = logging.StreamHandler(StringIO())
    config = logging_config(log_format, "INFO", "INFO")["formatters"]["structured"]
    formatter = config["()"](
        foreign_pre_chain=config["foreign_pre_chain"], processors=config["processors"]
    )
    handler.setFormatter(formatter)
    record = logging.LogRecord(
        "transcriptions.test", logging.INFO, "x.py", 1, message, arguments, None
    )
    if error:
        try:
            raise ValueError("broken")
        except ValueError:
            record.exc_info = sys.exc_info()
    return handler.format(record)


@pytest.fixture(autouse=True)
def empty_context() -> None:
    clear_contextvars()


def test_json_line_has_request_id_level_and_logger() -> None:
    bind_request("job-7")
    line = json.loads(formatted("json", "%s is done", "It"))
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "It is done",
        "level": "info",
        "logger": "transcriptions.test",
        "request_id": "job-7",
    }


def test_json_line_holds_the_traceback() -> None:
    line = json.loads(formatted("json", "failed", error=True))
    assert line["exception"][0]["exc_type"] == "ValueError"


def test_json_traceback_has_no_local_variables() -> None:
    line = json.loads(formatted("json", "failed", error=True))
    frames = line["exception"][0]["frames"]
    assert [frame["name"] for frame in frames] == ["formatted"]
    assert not any(frame.get("locals") for frame in frames)


def test_text_line_has_request_id_and_no_color_codes() -> None:
    bind_request("job-7")
    line = formatted("text", "It is done")
    assert re.search(r"\[info\s*\] It is done .*request_id=job-7", line)
    assert "\x1b" not in line


def test_request_id_is_bound_for_each_request(db: None, client: Client) -> None:
    for request_id in ("job-7", "job-8"):
        client.get("/nowhere", headers={"X-Request-ID": request_id})
        assert json.loads(formatted("json", "x"))["request_id"] == request_id


@pytest.mark.slow
def test_django_writes_each_line_once_with_debug() -> None:
    code = (
        "import django, logging; django.setup(); "
        "logging.getLogger('django.request').warning('Not Found: /nowhere')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ
        | {"DJANGO_SETTINGS_MODULE": "transcodio_site.settings"}
        | {"DEBUG": "true", "LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["event"] == "Not Found: /nowhere"


def test_unknown_log_format_is_refused_at_start() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate"],
        cwd=ROOT,
        env=os.environ | {"LOG_FORMAT": "yaml"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "LOG_FORMAT=yaml is not valid: set it to text or json." in done.stderr


def test_task_has_the_ids_of_its_request_task_and_job() -> None:
    lines: list[dict[str, Any]] = []

    @shared_task(name="tests.log_context")
    def log_context(row_id: str) -> None:
        lines.append(json.loads(formatted("json", "working")))

    bind_request("job-9")
    message = log_context.s("42")
    headers: dict[str, Any] = {}
    before_task_publish.send(sender=log_context.name, headers=headers)
    assert headers["request_id"] == "job-9"
    clear_contextvars()
    message.type.apply(args=("42",), task_id="t1", **headers)
    assert lines[0]["task"] == "tests.log_context"
    assert (lines[0]["job_id"], lines[0]["task_id"]) == ("42", "t1")
    assert "task" not in json.loads(formatted("json", "after"))


def test_worker_logs_the_request_id_of_the_upload(stack: Stack, media: Media) -> None:
    headers = {
        "Authorization": f"Bearer {stack.token('logs@example.com')}",
        "X-Request-ID": "upload-4711",
    }
    with media.silence("silence.wav", 1).open("rb") as recording:
        response = httpx.post(
            f"{stack.url}/api/transcriptions", headers=headers, files={"file": recording}
        )
    job_id = response.json()["id"]

    def logged() -> bool:
        lines = [line for line in stack.log().splitlines() if "upload-4711" in line]
        tasks = ("transcriptions.tasks.preprocess", "transcriptions.tasks.transcribe")
        return all(any(task in line and job_id in line for line in lines) for task in tasks)

    wait_until(logged)
