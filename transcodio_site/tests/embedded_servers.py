"""Fixtures and helpers for tests of the embedded servers."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from transcodio_site import embedded
from transcodio_site.embedded.postgres import Postgres
from transcodio_site.embedded.valkey import Valkey
from transcodio_site.testing import ROOT

HOLD_SERVERS = """
import sys
from pathlib import Path
from transcodio_site.embedded import EmbeddedError, servers
try:
    with servers(Path(sys.argv[1])):
        print("up", flush=True)
        sys.stdin.read()
except EmbeddedError as error:
    print(error, flush=True)
"""
# Root with the capabilities that containers often lack: file access and process inspection.
RESTRICTED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-sys_ptrace")


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose servers are killed after the test. For root, a parent folder is closed to
    the Postgres user."""
    var = tmp_path / "var"
    yield var
    kill_servers(var)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="transcodio-open-"))
    folder.chmod(0o755)
    yield folder
    for var in folder.iterdir():
        kill_servers(var)
    shutil.rmtree(folder)


def kill_servers(var: Path) -> None:
    for process in running(var):
        process.kill()
        process.wait()
    shutil.rmtree(embedded.socket_folder(var), ignore_errors=True)


def running(var: Path) -> list[psutil.Process]:
    """The two servers of a data folder (without the children of Postgres)."""
    servers = [server.running() for server in (Postgres(var), Valkey(var))]
    return [process for process in servers if process and process.status() != "zombie"]


def has_exited(process: psutil.Process) -> bool:
    """Whether it has exited. In a container it may stay a zombie."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


class Command:
    """A process that uses the servers until its standard input is closed."""

    def __init__(self, var: Path, *prefix: str) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", HOLD_SERVERS, str(var)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def when_up(self) -> Iterator[subprocess.Popen[str]]:
        """Wait for the servers; stop the process after the body."""
        with self.process as process:
            assert process.stdout
            assert process.stdin
            assert process.stdout.readline() == "up\n"
            yield process
            process.stdin.close()


@contextmanager
def another_command(var: Path, *prefix: str) -> Iterator[subprocess.Popen[str]]:
    """Start a Command and wait for the servers."""
    with Command(var, *prefix).when_up() as process:
        yield process


def failure(var: Path, *prefix: str) -> str:
    """The output of a process that cannot start the servers."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", HOLD_SERVERS, str(var)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def query(var: Path, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(embedded.postgres_url(var), autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []
