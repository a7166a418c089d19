"""Embedded servers that die or hang while they are used."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from transcodio_site import backoff, embedded
from transcodio_site.embedded import folders, server, watch
from transcodio_site.embedded.postgres import Postgres
from transcodio_site.embedded.server import Response
from transcodio_site.embedded.valkey import Valkey
from transcodio_site.files import exclusive_lock
from transcodio_site.testing import wait_until
from transcodio_site.tests.embedded_servers import another_command, has_exited, query, running, var

__all__ = ["var"]


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two probes of a second instead of six of five seconds."""
    monkeypatch.setattr("transcodio_site.embedded.postgres.PROBE_TIMEOUT_S", 1)
    monkeypatch.setattr("transcodio_site.embedded.valkey.PROBE_TIMEOUT_S", 1)
    monkeypatch.setattr(server, "HANG_TIMEOUT_S", 2)
    monkeypatch.setattr(watch, "MAX_UNANSWERED", 2)
    monkeypatch.setattr(backoff, "ESSENTIAL_MAX_DELAY_S", 0.1)


class Watches:
    """Checks both servers of a data folder, again and again."""

    def __init__(self, var: Path) -> None:
        self.watches = embedded.watches(var)
        self.lines: list[str] = []

    def check(self) -> bool:
        """Whether both servers accept connections."""
        self.lines += [line for watch in self.watches if (line := watch.check())]
        return all(watch.server.probe() is Response.READY for watch in self.watches)


@contextmanager
def busy_query(var: Path) -> Iterator[psutil.Process]:
    """A Postgres process that computes for a very long time and notices nothing else."""
    connection = psycopg.connect(embedded.postgres_url(var))
    connection.pgconn.send_query(b"SELECT count(*) FROM pg_class a, pg_class b, pg_proc c, pg_proc")
    connection.pgconn.flush()
    backend = psutil.Process(connection.info.backend_pid)
    wait_until(lambda: backend.cpu_times().user > 0.05)
    yield backend
    connection.close()


@pytest.mark.slow
@pytest.mark.covers(
    "fault", "Postgres and Valkey are killed, and a query continues without Postgres"
)
def test_killed_servers_are_restarted(var: Path, short_timeouts: None) -> None:
    with embedded.servers(var):
        watches = Watches(var)
        assert watches.check()
        redis.Redis.from_url(embedded.redis_url(var)).set("key", "value")
        with busy_query(var) as backend:
            for process in running(var):
                process.kill()
                process.wait()
            assert not has_exited(backend)
            with exclusive_lock(var / "run" / "start.lock"):  # another command starts them
                assert not watches.check()
            assert running(var) == []
            wait_until(watches.check)
            assert has_exited(backend)
        assert watches.lines == [
            "Postgres stopped. Restarting it.",
            "Valkey stopped. Restarting it.",
        ]
        assert query(var, "SELECT 1") == [(1,)]
        assert redis.Redis.from_url(embedded.redis_url(var)).get("key") is None
    assert running(var) == []


@pytest.mark.slow
@pytest.mark.covers("fault", "Postgres and Valkey hang (SIGSTOP) while they are used")
def test_hanging_servers_are_restarted(var: Path, short_timeouts: None) -> None:
    with embedded.servers(var):
        query(var, "CREATE TABLE numbers AS SELECT 42 AS value")
        watches = Watches(var)
        stopped = [running(var)[1]]
        with psycopg.connect(embedded.postgres_url(var)) as connection:
            stopped += [running(var)[0], psutil.Process(connection.info.backend_pid)]
            for process in stopped:
                process.send_signal(signal.SIGSTOP)
            assert not watches.check()
            assert watches.lines == []
            assert not any(map(has_exited, stopped))
            wait_until(watches.check)
        assert watches.lines == [
            "Postgres did not respond. Restarting it.",
            "Valkey did not respond. Restarting it.",
        ]
        assert query(var, "SELECT value FROM numbers") == [(42,)]
        assert all(map(has_exited, stopped))
    assert running(var) == []


@pytest.mark.slow
@pytest.mark.covers("fault", "Postgres and Valkey of a killed supervisor hang at the next start")
def test_hanging_servers_of_a_killed_command_are_replaced(var: Path, short_timeouts: None) -> None:
    with another_command(var) as command:
        orphans = running(var)
        command.kill()
        command.wait()
    for process in orphans:
        process.send_signal(signal.SIGSTOP)
    with embedded.servers(var):
        assert query(var, "SELECT 1") == [(1,)]
        assert not {process.pid for process in running(var)} & {process.pid for process in orphans}
    assert running(var) == []


@pytest.mark.slow
@pytest.mark.covers("fault", "Something deletes the sockets of Postgres and Valkey")
def test_servers_without_socket_are_restarted(var: Path, short_timeouts: None) -> None:
    with embedded.servers(var):
        before = running(var)
        for one in (Postgres(var), Valkey(var)):
            one.socket.unlink()
        with embedded.servers(var):
            assert query(var, "SELECT 1") == [(1,)]
            assert not set(running(var)) & set(before)
    assert running(var) == []


@pytest.mark.slow
def test_recovering_server_is_not_killed(var: Path, short_timeouts: None) -> None:
    with embedded.servers(var, valkey=False):
        postgres = embedded.watches(var, valkey=False)[0]
        pid = Postgres(var).pid()
        postgres.server.probe = lambda: Response.NOT_YET  # type: ignore[method-assign]
        assert [postgres.check() for _ in range(watch.MAX_UNANSWERED * 2)].count("") == 4
        assert Postgres(var).pid() == pid


@pytest.mark.slow
@pytest.mark.covers("fault", "The disk is full when Postgres has to be restarted")
def test_server_is_restarted_when_there_is_space_again(
    var: Path, short_timeouts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded.servers(var):
        watches = Watches(var)
        with monkeypatch.context() as full_disk:
            full_disk.setattr(folders, "MIN_FREE_BYTES", 1 << 60)
            process = running(var)[0]
            process.kill()
            process.wait()
            wait_until(lambda: watches.check() or len(watches.lines) == 2)
            for _ in range(5):
                watches.check()
        assert watches.lines[0] == "Postgres stopped. Restarting it."
        assert "will be tried again: The disk is full" in watches.lines[1]
        assert len(watches.lines) == 2
        wait_until(watches.check)
        assert query(var, "SELECT 1") == [(1,)]


@pytest.mark.covers("fault", "The data folder is deleted while Postgres and Valkey run")
def test_servers_of_a_deleted_folder_stop(var: Path) -> None:
    with embedded.servers(var):
        processes = running(var)
        moved = var.with_name("moved")
        var.rename(moved)
    wait_until(lambda: all(map(has_exited, processes)))


def test_restarted_server_gets_time_to_start(var: Path, short_timeouts: None) -> None:
    with embedded.servers(var, postgres=False):
        valkey = embedded.watches(var, postgres=False)[0]
        running(var)[0].kill()
        wait_until(lambda: valkey.check() == "Valkey stopped. Restarting it.")
        valkey.server.probe = lambda: Response.NONE  # type: ignore[method-assign]
        assert [valkey.check() for _ in range(watch.MAX_UNANSWERED * 2)].count("") == 4
        pid = valkey.server.process and valkey.server.process.pid
        assert pid
        assert psutil.pid_exists(pid)
