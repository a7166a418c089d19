"""The database server."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from transcodio_site.embedded.access import SUPERUSER, prepare_database, write_access_rules
from transcodio_site.embedded.binaries import POSTGRES_MAJOR, postgres_programs
from transcodio_site.embedded.cluster import (
    INCOMPLETE_PREFIX,
    Cluster,
    data_folder,
    prepare_cluster,
    remove_incomplete,
)
from transcodio_site.embedded.folders import (
    PRIVATE_GIDS,
    EmbeddedError,
    make_private,
    postgres_socket_folder,
    set_access,
    socket_folder,
)
from transcodio_site.embedded.server import (
    PROBE_TIMEOUT_S,
    Response,
    Server,
    failure_cause,
)
from transcodio_site.embedded.server_user import ServerUser

INITDB_OPTIONS = (
    *("--username", SUPERUSER, "--encoding", "UTF8"),
    *("--auth-local", "peer", "--auth-host", "reject"),
    *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
    "--no-instructions",
)


class Postgres(Server):
    """The embedded PostgreSQL. It runs as the user who owns its data."""

    name = "Postgres"
    # "Fast" shutdown: rolls back open transactions and writes everything to disk.
    stop_signal = signal.SIGINT

    def __init__(self, var: Path) -> None:
        super().__init__(var)
        self.sockets = postgres_socket_folder(var)
        self.cluster: Cluster | None = None

    @property
    def folder(self) -> Path:
        """The data folder, which is also its working directory."""
        return data_folder(self.var)

    @property
    def socket(self) -> Path:
        """The Unix socket on which it listens."""
        return self.sockets / ".s.PGSQL.5432"

    @property
    def command_line_marker(self) -> str:
        """The data folder: the value of -D."""
        return str(self.folder)

    def pid(self) -> int:
        """The process id in the lock file that Postgres writes."""
        owner = ServerUser.owning(self.folder)
        return int(owner.read(self.folder / "postmaster.pid").split()[0])

    def command(self) -> list[str]:
        """The command line. No TCP port is opened."""
        cluster = self.cluster or prepare_cluster(self.var)
        program = str(postgres_programs(cluster) / "postgres")
        data, sockets = str(cluster.data), str(self.sockets)
        # A segment in /dev/shm would be open to every process of the user `nobody`.
        memory = ["-c", "dynamic_shared_memory_type=mmap"] if os.geteuid() == 0 else []
        return [program, "-D", data, "-h", "", "-k", sockets, "-p", "5432", *memory]

    def process_options(self) -> dict[str, Any]:
        """Options to run as the user who owns the data."""
        return (self.cluster or prepare_cluster(self.var)).user.process_options

    def prepare(self) -> None:
        """Choose the folder of the cluster. The first start creates the cluster."""
        self.cluster = prepare_cluster(self.var)
        self._share_sockets(self.cluster.user)
        remove_incomplete(self.cluster)
        if not self.cluster.data.exists():
            self._create_cluster(self.cluster)
        self._check_version(self.cluster)

    def start(self) -> None:
        """Start the server. The first start creates the cluster, the role and the database."""
        super().start()
        try:
            prepare_database(self.sockets)
        except psycopg.Error as error:
            reason = " ".join(str(error).split())
            raise EmbeddedError(f"The database cannot be prepared: {reason}.") from error

    def launch(self) -> None:
        """Start the process and do not wait for it. Raises EmbeddedError, OSError."""
        cluster = self.cluster = prepare_cluster(self.var)
        if not cluster.data.exists():
            raise EmbeddedError(f"The database in {cluster.data} has been deleted.")
        self._share_sockets(cluster.user)
        write_access_rules(cluster)
        super().launch()

    def probe(self) -> Response:
        """Ask the server whether it accepts connections."""
        conninfo = make_conninfo(
            host=str(self.sockets),
            port=5432,
            user=SUPERUSER,
            dbname="postgres",
            connect_timeout=round(PROBE_TIMEOUT_S),
        )
        responses = {Ping.OK: Response.READY, Ping.REJECT: Response.NOT_YET}
        return responses.get(Ping(PGconn.ping(conninfo.encode())), Response.NONE)

    def leftovers(self) -> list[psutil.Process]:
        """Processes of a killed server that still run a query and hold its shared memory."""
        return [p for p in psutil.process_iter() if self._is_leftover(p)]

    def _is_leftover(self, process: psutil.Process) -> bool:
        try:
            if not process.name().startswith(self.program):
                return False
            try:
                return Path(process.cwd()) == self.folder
            except psutil.AccessDenied:
                # Root in a container may not inspect it, but this database is the only one with its
                # group.
                owner = ServerUser.owning(self.folder)
                return owner.gid in PRIVATE_GIDS and process.gids().real == owner.gid
        except (OSError, psutil.Error):
            return False

    def remove_stale_files(self) -> None:
        """Remove the lock files of a killed server whose process id now belongs to another process.

        Postgres removes them itself unless a process with that id exists. In a container it may be
        unknown whether that process is the server of this folder: then keep them.
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

    def _share_sockets(self, user: ServerUser) -> None:
        """Create the folder of the Postgres socket, open only to its user and the current user."""
        make_private(self.sockets, owners=(os.geteuid(), user.uid), forbidden=0o027)
        if os.geteuid() != 0:
            return
        # The group gives us access even without root's capabilities for files.
        set_access(self.sockets, 0o750, uid=user.uid, gid=os.getegid())
        set_access(socket_folder(self.var), 0o710, gid=user.gid)

    def _create_cluster(self, cluster: Cluster) -> None:
        """Create the cluster under another name and rename it when complete: a crash leaves no
        incomplete one."""
        # A unique name: the initdb of a killed command may still run.
        new = Path(tempfile.mkdtemp(prefix=INCOMPLETE_PREFIX, dir=cluster.home))
        if os.geteuid() == 0:
            set_access(new, 0o700, uid=cluster.user.uid, gid=cluster.user.gid)
        initdb = str(postgres_programs(cluster) / "initdb")
        result = cluster.user.run(initdb, "-D", str(new), *INITDB_OPTIONS)
        if result.returncode:
            output = result.stdout + result.stderr
            self.log.write_text(output)
            remove_incomplete(cluster)
            raise EmbeddedError(
                f"Postgres cannot create its database: {failure_cause(output)} (see {self.log})"
            )
        new.rename(cluster.data)

    def _check_version(self, cluster: Cluster) -> None:
        version = cluster.user.read(cluster.data / "PG_VERSION").strip()
        if version != str(POSTGRES_MAJOR):
            raise EmbeddedError(
                f"The database in {cluster.data} was created by PostgreSQL {version}, and this "
                f"release includes {POSTGRES_MAJOR}. Make a backup with the earlier release "
                "(manage.py backup FOLDER), move the folder away, and restore it with this one "
                "(manage.py restore FOLDER --replace)."
            )
