"""The database server."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import psutil
import psycopg

from transcodio_site.embedded.binaries import POSTGRES_MAJOR, postgres_programs
from transcodio_site.embedded.cluster import (
    INCOMPLETE_PREFIX,
    Cluster,
    data_folder,
    prepare_cluster,
    remove_incomplete,
)
from transcodio_site.embedded.folders import (
    EmbeddedError,
    make_private,
    postgres_socket_folder,
    set_access,
    socket_folder,
)
from transcodio_site.embedded.server import Server, failure_cause
from transcodio_site.embedded.server_user import ServerUser

NAME = "transcodio"  # of the database and of its role
INITDB_OPTIONS = (
    *("--username", NAME, "--auth-local", "trust", "--auth-host", "reject", "--encoding", "UTF8"),
    *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
    "--no-instructions",
)


class Postgres(Server):
    """Runs as the user that its data belong to."""

    name = "Postgres"
    stop_signal = signal.SIGINT  # "fast": rolls back what is open and writes everything to disk

    def __init__(self, var: Path) -> None:
        super().__init__(var)
        self.sockets = postgres_socket_folder(var)
        self.cluster: Cluster | None = None

    @property
    def folder(self) -> Path:
        """Its data; Postgres makes them its working directory."""
        return data_folder(self.var)

    @property
    def command_line_mark(self) -> str:
        """The data folder, as the value of -D."""
        return str(self.folder)

    def pid(self) -> int:
        """From the lock file that Postgres writes."""
        owner = ServerUser.owning(self.folder)
        return int(owner.read(self.folder / "postmaster.pid").split()[0])

    def command(self) -> list[str]:
        """Without a TCP port."""
        cluster = self.cluster or prepare_cluster(self.var)
        program = str(postgres_programs(cluster) / "postgres")
        data, sockets = str(cluster.data), str(self.sockets)
        # A segment in /dev/shm would be open to every process of the user `nobody`.
        memory = ["-c", "dynamic_shared_memory_type=mmap"] if os.geteuid() == 0 else []
        return [program, "-D", data, "-h", "", "-k", sockets, "-p", "5432", *memory]

    def process_options(self) -> dict[str, Any]:
        """The user that the data belong to."""
        return (self.cluster or prepare_cluster(self.var)).user.process_options

    def start(self) -> None:
        """Also makes the cluster and the database at the first time."""
        if not self.answers():
            self._stop_if_elsewhere()
            self.cluster = prepare_cluster(self.var)
            self._share_sockets(self.cluster.user)
            remove_incomplete(self.cluster)
            if not self.cluster.data.exists():
                self._make_cluster(self.cluster)
            self._check_version(self.cluster)
        super().start()
        with self._connect() as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if not connection.execute(query, [NAME]).fetchone():
                connection.execute(f"CREATE DATABASE {NAME}")

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def remove_stale_files(self) -> None:
        """Removes the lock files of a killed predecessor whose number now has another process.

        Postgres does so itself, unless that process lives. Whether a process is Postgres on this
        very folder cannot always be known in a container: then they stay.
        """
        try:
            process = psutil.Process(self.pid())
            if process.name().startswith(self.program):
                process.cwd()
        except psutil.AccessDenied:
            return
        except (OSError, ValueError, IndexError, psutil.Error):
            pass
        script = 'rm -f "$1/postmaster.pid" "$2/.s.PGSQL.5432" "$2/.s.PGSQL.5432.lock"'
        ServerUser.owning(self.folder).shell(script, self.folder, self.sockets)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.sockets), port=5432, user=NAME, dbname="postgres", autocommit=True
        )

    def _stop_if_elsewhere(self) -> None:
        """Stops one that a killed command left, and whose sockets nobody looks for any more: the
        data folder was renamed since, or an earlier release started it."""
        process = self.running()
        if process and str(self.sockets) not in process.cmdline():
            self.stop()

    def _share_sockets(self, user: ServerUser) -> None:
        """Makes a folder for the socket of Postgres, which only its user and we can enter."""
        make_private(self.sockets, owners=(os.geteuid(), user.uid), forbidden=0o027)
        if os.geteuid() != 0:
            return
        # By our group we get to a folder of another user, with root's rights over files or without.
        set_access(self.sockets, 0o750, uid=user.uid, gid=os.getegid())
        set_access(socket_folder(self.var), 0o710, gid=user.gid)

    def _make_cluster(self, cluster: Cluster) -> None:
        """Made under another name and renamed when complete: a crash leaves no half cluster."""
        # A name of its own: the initdb of a killed command may still be at work.
        new = Path(tempfile.mkdtemp(prefix=INCOMPLETE_PREFIX, dir=cluster.home))
        if os.geteuid() == 0:
            set_access(new, 0o700, uid=cluster.user.uid, gid=cluster.user.gid)
        initdb = str(postgres_programs(cluster) / "initdb")
        made = cluster.user.run(initdb, "-D", str(new), *INITDB_OPTIONS)
        if made.returncode:
            output = made.stdout + made.stderr
            self.log.write_text(output)
            remove_incomplete(cluster)
            raise EmbeddedError(
                f"Postgres cannot make its database: {failure_cause(output)} (see {self.log})"
            )
        new.rename(cluster.data)

    def _check_version(self, cluster: Cluster) -> None:
        found = cluster.user.read(cluster.data / "PG_VERSION").strip()
        if found != str(POSTGRES_MAJOR):
            raise EmbeddedError(
                f"The database in {cluster.data} was made by PostgreSQL {found}, and this release "
                f"brings {POSTGRES_MAJOR}. Dump it with the earlier release, move the folder away, "
                "and restore it here."
            )
