"""Root's Postgres runs as `nobody` with a private group and without capabilities."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from transcodio_site import embedded
from transcodio_site.embedded import EmbeddedError, binaries, cluster, folders
from transcodio_site.embedded.folders import PRIVATE_GIDS
from transcodio_site.embedded.postgres import Postgres
from transcodio_site.tests.embedded_servers import (
    RESTRICTED,
    another_command,
    failure,
    open_folder,
    query,
    running,
    var,
)

__all__ = ["open_folder", "var"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
needs_setpriv = pytest.mark.skipif(
    not shutil.which("setpriv"), reason="setpriv (util-linux) is not installed"
)


def access(path: Path) -> tuple[int, int, int]:
    """Mode, user and group. Links are not followed."""
    status = path.lstat()
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def nobody_id() -> int:
    return pwd.getpwnam("nobody").pw_uid


def postmaster(var: Path) -> psutil.Process:
    process = Postgres(var).running()
    assert process
    return process


def as_nobody(code: str, group: int) -> str:
    """The output of Python code that runs as `nobody`. Modules are imported before the switch."""
    switch = f"os.setgroups([]); os.setgid({group}); os.setuid({nobody_id()})"
    command = [sys.executable, "-c", f"import os, socket\n{switch}\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.slow
def test_database_is_outside_a_closed_folder(var: Path) -> None:
    var.parent.chmod(0o700)
    with embedded.servers(var):
        data = embedded.data_folder(var)
        assert (var / "postgres").is_symlink()
        assert data.parent.parent == cluster.SERVER_HOMES
        gid = data.stat().st_gid
        assert gid in PRIVATE_GIDS
        assert access(cluster.SERVER_HOMES) == (0o711, 0, 0)
        assert access(data.parent) == (0o710, 0, gid)
        assert access(data) == (0o700, nobody_id(), gid)
        assert access(var) == (0o700, 0, 0)
        assert (data.parent / cluster.OWNER_NOTE).read_text() == f"{var}\n"


def test_database_is_in_an_accessible_data_folder(open_folder: Path) -> None:
    var = open_folder / "var"
    (var / "media").mkdir(parents=True)
    (var / "media").chmod(0o755)
    (var / "notes").write_text("private")
    for _ in range(2):
        with embedded.servers(var):
            gid = (var / "postgres").stat().st_gid
            assert gid in PRIVATE_GIDS
            assert access(var) == (0o710, 0, gid)
            assert access(var / "postgres") == (0o700, nobody_id(), gid)
    for entry in var.iterdir():  # the second start has closed everything else to Postgres too
        if not entry.name.startswith(binaries.COPY_PREFIX):  # copied if the checkout is closed
            assert access(entry)[0] & 0o077 == 0, entry
    assert access(open_folder) == (0o755, 0, 0)


@pytest.mark.covers("attack", "Postgres that root has started uses rights of root")
def test_postgres_has_no_capabilities_and_no_other_group(var: Path) -> None:
    with embedded.servers(var):
        process = postmaster(var)
        status = Path(f"/proc/{process.pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        gid = str(embedded.data_folder(var).stat().st_gid)
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(fields[name], 16) == 0, name
        assert set(fields["Uid"].split()) == {str(nobody_id())}
        assert set(fields["Gid"].split()) == {gid}
        assert set(fields["Groups"].split()) <= {gid}
        assert "SECRET" not in Path(f"/proc/{process.pid}/environ").read_text()


@pytest.mark.covers("attack", "Another process of the user nobody reads the database of root")
def test_other_processes_of_nobody_reach_neither_data_nor_sockets(open_folder: Path) -> None:
    var, neighbor = open_folder / "var", open_folder / "neighbor"
    connect = "socket.socket(socket.AF_UNIX).connect"
    with embedded.servers(var), embedded.servers(neighbor, valkey=False):
        data = embedded.data_folder(var)
        sockets = folders.socket_folder(var)
        gid, other = data.stat().st_gid, (neighbor / "postgres").stat().st_gid
        assert gid != other
        attempts = [
            f"os.listdir({str(data)!r})",
            f"open({str(data / 'PG_VERSION')!r})",
            f"os.listdir({str(sockets)!r})",
            f"{connect}({str(sockets / 'postgres' / '.s.PGSQL.5432')!r})",
            f"{connect}({str(sockets / 'valkey.sock')!r})",
            f"open('/proc/{postmaster(var).pid}/environ').read()",
        ]
        for attempt in attempts:
            for group in (nobody_id(), other):
                assert "PermissionError" in as_nobody(attempt, group), attempt
        # Postgres itself cannot access what belongs to root.
        assert "PermissionError" in as_nobody(attempts[4], gid)
        assert "PermissionError" in as_nobody(f"os.listdir({str(var / 'run')!r})", gid)
        assert as_nobody(attempts[0], gid) == ""
        assert not [p for p in Path("/dev/shm").glob("PostgreSQL.*") if p.stat().st_gid == gid]


@needs_setpriv
def test_root_without_file_capabilities_starts_and_stops(tmp_path: Path, var: Path) -> None:
    tmp_path.chmod(0o700)
    for _ in range(2):
        with another_command(var, *RESTRICTED):
            assert query(var, "SELECT 1") == [(1,)]
            assert len(running(var)) == 2
        assert running(var) == []


@pytest.mark.slow
@pytest.mark.parametrize("closed", [True, False])
def test_moved_data_folder_keeps_its_database(
    tmp_path: Path, open_folder: Path, closed: bool
) -> None:
    parent = tmp_path if closed else open_folder
    before, after = parent / "var", parent / "moved"
    with embedded.servers(before, valkey=False):
        query(before, "CREATE TABLE numbers AS SELECT 42 AS value")
    before.rename(after)
    with embedded.servers(after, valkey=False):
        assert query(after, "SELECT value FROM numbers") == [(42,)]
    with embedded.servers(before, valkey=False):
        assert embedded.data_folder(before) != embedded.data_folder(after)
        assert query(before, "SELECT to_regclass('numbers')") == [(None,)]


@pytest.mark.slow
@pytest.mark.parametrize("prefix", [(), pytest.param(RESTRICTED, marks=needs_setpriv)])
def test_database_is_moved_out_of_a_folder_that_was_closed(
    tmp_path: Path, open_folder: Path, prefix: tuple[str, ...]
) -> None:
    var = open_folder / "var"
    with embedded.servers(var, valkey=False):
        query(var, "CREATE TABLE numbers AS SELECT 42 AS value")
    subprocess.run(["chown", "-R", "nobody:nogroup", str(var / "postgres")], check=True)
    var = var.rename(tmp_path / "var")
    with another_command(var, *prefix):
        assert (var / "postgres").is_symlink()
        assert query(var, "SELECT value FROM numbers") == [(42,)]
        assert embedded.data_folder(var).stat().st_gid in PRIVATE_GIDS


@pytest.mark.slow
@pytest.mark.parametrize("done", ["nothing", "moved"])
def test_interrupted_move_is_completed(tmp_path: Path, open_folder: Path, done: str) -> None:
    with embedded.servers(open_folder / "var", valkey=False):
        query(open_folder / "var", "CREATE TABLE numbers AS SELECT 42 AS value")
    var = (open_folder / "var").rename(tmp_path / "var")
    home = cluster._create_server_home(var)
    (home / cluster.OWNER_NOTE).write_text(f"{var}\n")
    cluster._moving_link(var).symlink_to(home / "postgres")
    if done == "moved":
        (var / "postgres").rename(home / "postgres")
    with embedded.servers(var, valkey=False):
        assert embedded.data_folder(var).parent == home
        assert query(var, "SELECT value FROM numbers") == [(42,)]


@pytest.mark.slow
def test_copied_database_leaves_the_original(tmp_path: Path, open_folder: Path) -> None:
    var = open_folder / "var"
    with embedded.servers(var, valkey=False):
        query(var, "CREATE TABLE numbers AS SELECT 42 AS value")
    cluster._copy(var / "postgres", open_folder / "copy")
    (var / "postgres.moving").symlink_to(open_folder / "copy")
    with embedded.servers(var, valkey=False):
        assert embedded.data_folder(var) == open_folder / "copy"
        assert query(var, "SELECT value FROM numbers") == [(42,)]
    assert (var / "postgres.old" / "PG_VERSION").exists()


@pytest.mark.slow
def test_missing_database_is_reported_and_not_replaced(var: Path) -> None:
    with embedded.servers(var, valkey=False):
        home = embedded.data_folder(var).parent
    shutil.rmtree(home)
    with pytest.raises(EmbeddedError, match="which does not exist"), embedded.servers(var):
        pass
    (var / "postgres").unlink()
    with embedded.servers(var, valkey=False):
        assert query(var, "SELECT 1") == [(1,)]


@pytest.mark.slow
def test_programs_in_a_closed_folder_are_copied_once(
    var: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = open_folder / "packages"
    original = binaries._wheel()
    for folder in (original.name, f"{original.name}.libs"):
        shutil.copytree(original.parent / folder, packages / folder, copy_function=os.link)
    places = SimpleNamespace(submodule_search_locations=[str(packages / original.name)])
    monkeypatch.setattr(binaries, "find_spec", lambda name: places)
    packages.chmod(0o755)
    with embedded.servers(var, valkey=False):
        home = embedded.data_folder(var).parent
        assert not list(home.glob(f"{binaries.COPY_PREFIX}*"))
    packages.chmod(0o700)
    (home / f"{binaries.COPY_PREFIX}17-0.1").mkdir()
    (home / f"{binaries.COPY_PREFIX}new.half" / "bin").mkdir(parents=True)
    copies = []
    for _ in range(2):
        with embedded.servers(var, valkey=False):
            assert query(var, "SELECT 1") == [(1,)]
            assert postmaster(var).exe().startswith(str(home))
            copies.append([(c, c.stat().st_ino) for c in home.glob(f"{binaries.COPY_PREFIX}*")])
    assert len(copies[0]) == 1
    assert copies[0] == copies[1]


@needs_setpriv
@pytest.mark.parametrize(
    ("missing", "words"), [("chown", "cannot be changed"), ("setuid", "cannot be run by the user")]
)
def test_missing_root_capability_is_reported_in_one_line(
    open_folder: Path, missing: str, words: str
) -> None:
    output = failure(open_folder / "var", "setpriv", f"--bounding-set=-{missing}")
    assert words in output
    assert "Operation not permitted" in output
    assert output.count("\n") == 1


def test_folder_in_place_of_server_homes_is_refused(
    var: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    planted.chmod(0o777)
    monkeypatch.setattr(cluster, "SERVER_HOMES", planted)
    with pytest.raises(EmbeddedError, match="only root can write"), embedded.servers(var):
        pass
    assert access(planted) == (0o777, 0, 0)
