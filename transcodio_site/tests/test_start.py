"""`manage.py up` as different users in different folders."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from transcodio_site.embedded import data_folder, socket_folder
from transcodio_site.embedded.folders import PRIVATE_GIDS
from transcodio_site.embedded.server_user import ServerUser
from transcodio_site.supervisor import free_port
from transcodio_site.testing import ROOT, WAIT_S
from transcodio_site.tests.embedded_servers import RESTRICTED, open_folder

__all__ = ["open_folder"]
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")


@dataclass
class Installation:
    """A checkout, a Python with its packages, and the user who starts it."""

    folder: Path
    python: str = sys.executable
    packages: str = ""
    user: ServerUser = field(default_factory=ServerUser.current)
    prefix: tuple[str, ...] = ()

    @property
    def var(self) -> Path:
        return self.folder / "var"

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a management command."""
        home = {"HOME": str(self.folder), "PYTHONPATH": self.packages, "VAR_DIR": str(self.var)}
        return subprocess.Popen(
            [*self.prefix, self.python, "manage.py", *arguments],
            cwd=self.folder / "checkout",
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **home},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self.user.process_options,
        )

    def processes(self) -> list[psutil.Process]:
        """All processes of the data folder, found by environment, command line or working
        directory."""
        paths = (str(self.var), str(data_folder(self.var)), str(socket_folder(self.var)))
        return [p for p in psutil.process_iter() if any(path in _described(p) for path in paths)]


def _described(process: psutil.Process) -> str:
    try:
        if process.name() == "pytest" or process.status() == psutil.STATUS_ZOMBIE:
            return ""
        return f"{process.cmdline()} {process.environ().get('VAR_DIR')} {process.cwd()}"
    except psutil.Error:
        return ""


@pytest.fixture
def ordinary(open_folder: Path) -> Installation:
    """An installation of a user other than root, in a home of mode 0700. Skips the test if there is
    no such user, or if that user cannot run Python."""
    accounts = sorted(pwd.getpwall(), key=lambda entry: entry.pw_uid < 1000)
    account = next(entry for entry in accounts if 0 < entry.pw_uid < 60_000)
    user = ServerUser(account.pw_uid, account.pw_gid)
    packages = open_folder / "packages"
    # Other users cannot read packages in a closed folder of root. Hard links take no space.
    _link(Path(sysconfig.get_path("purelib")), packages)
    python = Path(sys.executable).resolve()
    if user.shell('"$1" -c ""', python).returncode:
        _link(Path(sys.base_prefix), open_folder / "python")
        python = open_folder / "python" / "bin" / python.name
    probe = user.shell('PYTHONPATH="$2" "$1" -c "import django, psycopg, ssl"', python, packages)
    if probe.returncode:
        pytest.skip(f"the user {account.pw_name} cannot run Python: {probe.stderr}")
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    _copy_checkout(home / "checkout")
    for path in (home, *home.rglob("*")):
        os.chown(path, user.uid, user.gid, follow_symlinks=False)
    return Installation(home, str(python), str(packages), user)


def _link(source: Path, target: Path) -> None:
    def link(one: str, other: str) -> None:
        try:
            os.link(one, other)
        except OSError:  # another file system
            shutil.copy2(one, other)

    heavy = shutil.ignore_patterns("torch", "nvidia", "triton", "playwright", "test", "__pycache__")
    shutil.copytree(source, target, copy_function=link, ignore=heavy)


def _copy_checkout(target: Path) -> None:
    ignored = shutil.ignore_patterns(".venv", ".git", "var", "node_modules", "*cache*")
    shutil.copytree(ROOT, target, ignore=ignored)


def start_and_stop(installation: Installation) -> list[str]:
    """Run the whole service until it is healthy, then send Ctrl-C. Return its output."""
    port = free_port()
    output: list[str] = []
    with installation.popen("up", "--port", str(port)) as command:
        for line in command.stdout or ():
            output.append(line)
            if line.startswith("Press Ctrl-C"):
                break
        assert "is ready" in "".join(output), "".join(output)
        try:
            response = httpx.get(f"http://127.0.0.1:{port}/health", timeout=WAIT_S)
            assert response.json()["status"] == "healthy"
            owners = {p.uids().real for p in installation.processes() if p.name() == "postgres"}
        finally:
            command.send_signal(signal.SIGINT)
            output.append(command.communicate(timeout=WAIT_S)[0])
    assert command.returncode == 0, "".join(output)
    assert owners, "there is no Postgres process"
    assert 0 not in owners
    assert installation.processes() == []
    return output


@pytest.mark.slow
@only_root
@pytest.mark.parametrize("prefix", [(), pytest.param(RESTRICTED, marks=pytest.mark.slow)])
def test_up_as_root_under_a_closed_folder(tmp_path: Path, prefix: tuple[str, ...]) -> None:
    if prefix and not shutil.which(prefix[0]):
        pytest.skip("setpriv (util-linux) is not installed")
    tmp_path.chmod(0o700)
    (tmp_path / "checkout").symlink_to(ROOT)
    output = start_and_stop(Installation(tmp_path, prefix=prefix))
    database = (tmp_path / "var" / "postgres").readlink()
    assert f"  database    {database}\n" in output
    assert (tmp_path.stat().st_mode & 0o777, tmp_path.stat().st_gid) == (0o700, 0)


@only_root
@pytest.mark.slow
def test_up_as_root_in_an_open_folder(open_folder: Path) -> None:
    (open_folder / "checkout").symlink_to(ROOT)
    installation = Installation(open_folder)
    start_and_stop(installation)
    assert not (installation.var / "postgres").is_symlink()
    assert installation.var.stat().st_gid in PRIVATE_GIDS
    private = [e for e in installation.var.iterdir() if e.name not in ("postgres", "run", "log")]
    assert len(private) > 3
    for entry in private:
        assert entry.stat().st_mode & 0o007 == 0 or entry.stat().st_uid == 0, entry
    assert not (installation.var / "secret_key").stat().st_mode & 0o077


@only_root
@pytest.mark.slow
def test_up_as_ordinary_user_in_a_closed_home(ordinary: Installation) -> None:
    start_and_stop(ordinary)
    status = ordinary.var.stat()
    assert (status.st_mode & 0o777, status.st_uid) == (0o700, ordinary.user.uid)
    assert (ordinary.var / "postgres").stat().st_uid == ordinary.user.uid
    assert {p.stat().st_uid for p in ordinary.var.rglob("*")} == {ordinary.user.uid}
