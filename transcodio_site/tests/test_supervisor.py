"""The supervisor: processes that crash, hang or are left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from transcodio_site import backoff
from transcodio_site.backoff import Backoff
from transcodio_site.supervisor import StackError, free_port, leftovers, running_url, stack
from transcodio_site.supervisor.child import Child
from transcodio_site.supervisor.stack import Stack
from transcodio_site.testing import ROOT, WAIT_S
from transcodio_site.tests.embedded_servers import has_exited

FAILS = [sys.executable, "-c", "raise OSError('no more threads')"]
WAITS = [sys.executable, "-c", "import time; time.sleep(1000)"]

PRINTS_METRICS_PORT = "import os, sys; print(os.environ['METRICS_PORT'], file=sys.stderr)"


@pytest.fixture
def own_stack(settings: Any, tmp_path: Path) -> Iterator[Stack]:
    """A stack without embedded servers, whose processes the test chooses."""
    settings.VAR_DIR = tmp_path
    settings.EMBEDDED_SERVERS = settings.EMBEDDED_SERVERS | {"postgres": False, "valkey": False}
    own = Stack("127.0.0.1", free_port())
    yield own
    own.stop()


def test_web_server_that_does_not_start_names_the_cause(
    own_stack: Stack, capfd: pytest.CaptureFixture[str]
) -> None:
    own_stack.web.command = FAILS
    own_stack.children = [own_stack.web]
    with pytest.raises(StackError, match="did not start: OSError: no more threads"):
        own_stack.start()
    assert "Traceback" in capfd.readouterr().err  # forwarded


@pytest.mark.covers("fault", "The worker crashes again and again")
def test_process_that_keeps_stopping_leaves_the_others_running(
    own_stack: Stack, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backoff, "MAX_DELAY_S", 0.01)
    web, worker = Child("web", WAITS), Child("worker", FAILS)
    own_stack.children = [web, worker]
    for child in own_stack.children:
        child.start(dict(os.environ))
    web_process = web.process
    own_stack.watch(until=lambda: worker.backoff.failures >= backoff.MANY_FAILURES + 2)
    assert web.process is web_process
    assert not web.has_exited()
    assert capfd.readouterr().out.splitlines() == [
        *["The worker process stopped. Restarting it."] * (backoff.MANY_FAILURES - 1),
        "The worker process keeps stopping: OSError: no more threads. "
        "It is restarted at growing intervals.",
    ]
    worker.command = WAITS
    own_stack.watch(until=lambda: bool(worker.process and not worker.has_exited()))
    monkeypatch.setattr(backoff, "STABLE_AFTER_S", 0.0)
    own_stack.watch(until=lambda: worker.backoff.failures == 0)
    assert "The worker process is running again.\n" in capfd.readouterr().out


def test_live_worker_serves_its_metrics_on_the_next_port(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VAR_DIR, settings.METRICS_PORT = tmp_path, 9101
    monkeypatch.setenv("METRICS_PORT", "9101")
    ports = {}
    own = Stack("127.0.0.1", free_port())
    for child in own.children:
        child.command = [sys.executable, "-c", PRINTS_METRICS_PORT]
        child.start(own._environment())
        assert child.process
        child.process.wait(WAIT_S)
        ports[child.name] = child.exit_reason()
    assert ports["worker"] == "9101"
    assert ports["live"] == "9102"


@pytest.mark.parametrize(("essential", "longest"), [(False, [8, 16, 32, 60, 60]), (True, [5] * 5)])
def test_delays_between_restarts_grow(
    monkeypatch: pytest.MonkeyPatch, essential: bool, longest: list[float]
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    instance = Backoff(essential=essential)
    delays = []
    for _ in range(9):
        instance.record_start()
        instance.record_failure()
        delays.append(instance._restart_at - now)
    assert delays == [0, 1, 2, 4, *longest]
    assert not instance.may_restart()
    now += 60
    assert instance.may_restart()
    instance.record_start()
    now += backoff.STABLE_AFTER_S + 1
    instance.record_failure()
    assert instance.may_restart()


@pytest.mark.covers("fault", "A process cannot be started: the machine has no resources left")
def test_process_that_cannot_be_started_is_tried_again(
    own_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "MAX_DELAY_S", 0.01)
    child = Child("worker", FAILS)
    own_stack.children = [child]
    child.start(dict(os.environ))
    child.command = ["/nonexistent"]
    own_stack.watch(until=lambda: child.backoff.failures > 2)
    child.command = WAITS
    own_stack.watch(until=lambda: child.process is not None)
    assert not child.has_exited()


SILENT_SERVER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client = listener.accept()[0]
    client.recv(1)
    client.close()
"""


@pytest.mark.covers("fault", "The web server hangs (SIGSTOP)")
def test_hanging_web_server_is_restarted(
    own_stack: Stack, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in (
        ("CHECK_INTERVAL_S", 0.1),
        ("PROBE_TIMEOUT_S", 0.5),
        ("MAX_UNANSWERED", 3),
        ("STARTUP_PROBES", 10_000),
    ):
        monkeypatch.setattr(stack, name, value)
    web = own_stack.web
    web.command = [sys.executable, "-c", SILENT_SERVER, str(own_stack.port)]
    own_stack.children = [web]
    web.start(dict(os.environ))
    first = web.process
    assert first
    own_stack.watch(until=lambda: own_stack._responsive is first)
    assert own_stack._unanswered == 0
    first.send_signal(signal.SIGSTOP)
    own_stack.watch(until=lambda: own_stack._responsive is not first)
    assert first.poll() == -signal.SIGKILL
    assert capfd.readouterr().out.splitlines()[:2] == [
        "The web server did not respond.",
        "The web process stopped. Restarting it.",
    ]


@pytest.mark.covers("fault", "The data folder is moved or deleted while the service runs")
def test_moved_data_folder_stops_the_stack(
    own_stack: Stack, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "CHECK_INTERVAL_S", 0.0)
    settings.VAR_DIR = tmp_path / "var"
    settings.VAR_DIR.mkdir()
    own = Stack("127.0.0.1", own_stack.port)
    own.children = []
    own._check()
    settings.VAR_DIR.rename(tmp_path / "moved")
    for replaced in (False, True):
        if replaced:
            settings.VAR_DIR.mkdir()
        with pytest.raises(StackError, match="was moved or deleted"):
            own.watch(until=bool)


KILLED_SUPERVISOR = """
import os, signal, subprocess, sys
from transcodio_site.supervisor.leftovers import mark
stubborn = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
child = [sys.executable, "-c", f"{stubborn}; print('up', flush=True); signal.pause()"]
process = subprocess.Popen(child, env=os.environ | mark(), stdout=subprocess.PIPE)
process.stdout.readline()
print(process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.covers("fault", "The supervisor is killed, and its worker does not stop")
def test_processes_of_a_killed_supervisor_are_stopped(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "GRACE_S", 0.2)
    settings.VAR_DIR = tmp_path
    children = {}
    for name, var in (("dead", tmp_path), ("alive", tmp_path), ("other", tmp_path / "other")):
        supervisor = subprocess.Popen(
            [sys.executable, "-c", KILLED_SUPERVISOR],
            cwd=ROOT,
            env=os.environ
            | {"VAR_DIR": str(var), "DJANGO_SETTINGS_MODULE": "transcodio_site.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert supervisor.stdout
        children[name] = supervisor, psutil.Process(int(supervisor.stdout.readline()))
    try:
        for name in ("dead", "other"):
            children[name][0].kill()
            children[name][0].wait()
        leftovers.stop_leftovers()
        assert has_exited(children["dead"][1])
        assert not has_exited(children["alive"][1])
        assert not has_exited(children["other"][1])
    finally:
        for supervisor, child in children.values():
            supervisor.kill()
            supervisor.communicate()
            with suppress(psutil.NoSuchProcess):
                child.kill()


@pytest.mark.covers("fault", "The file with the address of the service is empty, cut or damaged")
@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"url": 1, "pid": "x"}', '{"url": "http://[", "pid": %d}', "\0" * 20],
)
def test_damaged_address_file_is_ignored(settings: Any, tmp_path: Path, content: str) -> None:
    settings.VAR_DIR = tmp_path
    (tmp_path / "address.json").write_text(content.replace("%d", str(os.getpid())))
    assert running_url() is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104
        ("::", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
    ],
)
def test_url_can_be_opened(host: str, url: str) -> None:
    assert Stack(host, 8000).url == url
