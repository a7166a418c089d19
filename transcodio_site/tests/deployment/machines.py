"""Two machines that run the commands of deploy/compose.yaml with the variables of
deploy/transcodio.env.example.

They share Postgres (behind PgBouncer), Valkey, RabbitMQ and the recordings, and nothing else.
"""

from __future__ import annotations

import os
import shlex
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml

from transcodio_site.supervisor import is_healthy
from transcodio_site.testing import HOLD_FOLDER, ROOT, WAIT_S, wait_until
from transcodio_site.tests.deployment import servers
from transcodio_site.tests.deployment.servers import DEPLOY, HOST, PASSWORD, Certificate

EMAIL = "machines@example.com"
MACHINES = ("a", "b")
ANY = "0.0.0.0"  # noqa: S104 - in the container; here it is replaced
QUEUES = "celery,preprocess,transcribe"


def commands() -> dict[str, list[str]]:
    """The command of each service in compose.yaml that runs Transcodio."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return {
        name: _without_shell([str(part) for part in service["command"]])
        for name, service in services.items()
        if service["image"] == "transcodio"
    }


def _without_shell(command: list[str]) -> list[str]:
    """What a command runs that needs a shell to read variables, which are written as ${NAME}."""
    if command[0] != "sh":
        return command
    line = command[2].removeprefix("exec ").replace("$$", "$").replace(":?}", "}")
    return shlex.split(line)


def example_environment() -> dict[str, str]:
    """The variables of transcodio.env.example."""
    lines = (DEPLOY / "transcodio.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@dataclass
class Machine:
    """The processes of one machine."""

    name: str
    folder: Path
    port: int
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: list[str], **environment: str) -> None:
        """Start one process. Its output goes to a file in the folder of the machine."""
        replaced = {"celery": [sys.executable, "-m", "celery"], "python": [sys.executable]}
        parts = [*replaced[command[0]], *command[1:]]
        own = {ANY: HOST, "8000": str(self.port)}
        parts = [own.get(part, part).replace("%h", self.name) for part in parts]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                parts, cwd=ROOT, env=self.environment | environment, stdout=log, stderr=log
            )

    def kill(self, *names: str) -> None:
        """Kill processes as a power failure would; without names, all of them."""
        for name in names or tuple(self.processes):
            process = self.processes.pop(name)
            process.kill()
            process.wait()

    def terminate(self) -> dict[str, int]:
        """Stop all processes as a service manager does. The exit status of each."""
        for process in self.processes.values():
            process.terminate()
        return {name: process.wait(WAIT_S) for name, process in self.processes.items()}

    def log(self) -> str:
        """The end of the output of each process."""
        return "".join(
            f"--- {path.stem} on {self.name}\n{path.read_text(errors='replace')[-3000:]}\n"
            for path in sorted(self.folder.glob("*.log"))
        )


@dataclass
class Site:
    """The whole installation, seen from outside."""

    url: str
    certificate: Certificate
    machines: dict[str, Machine]
    buffers: Path  # of nginx
    faults: Path  # see tests/hold/deterministic_engine.py
    database_url: str
    environment: dict[str, str]
    broker: int  # its port
    token: str = ""

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate.file))

    def client(self) -> httpx.Client:
        """A program that uses the API through nginx."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, verify=self.tls, timeout=WAIT_S)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """The result of a query, sent directly to Postgres instead of PgBouncer."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(sql, values).fetchall()

    def manage(self, *arguments: str) -> str:
        """The output of a management command, on a machine of its own."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def worker_of(self, transcription_id: str) -> str:
        """The machine whose worker transcribes the recording; empty if none does."""
        sql = "SELECT worker FROM transcriptions_transcription WHERE id = %s AND state = %s"
        rows = self.query(sql, transcription_id, "transcribing")
        return str(rows[0][0]).rpartition("@")[2] if rows else ""


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Start everything. The body gets a site with a user and a token."""
    folder.chmod(0o755)  # PgBouncer and Postgres run as other users
    certificate = Certificate.create(folder)
    nginx_port, *web_ports = servers.free_ports(1 + len(MACHINES))
    with ExitStack() as started:
        broker = started.enter_context(servers.rabbitmq(folder))
        valkey = started.enter_context(servers.valkey(folder, certificate))
        database = started.enter_context(servers.postgres(folder))
        pooler = started.enter_context(servers.pgbouncer(folder, certificate, database))
        buffers = started.enter_context(servers.nginx(folder, certificate, nginx_port, web_ports))
        url = f"https://localhost:{nginx_port}"
        environment = _environment(folder, certificate, url, pooler, valkey, broker)
        machines = {
            name: _machine(folder / name, port, environment)
            for name, port in zip(MACHINES, web_ports, strict=True)
        }
        direct = f"postgresql://transcodio:{PASSWORD}@{HOST}:{database}/transcodio"
        running = Site(
            url, certificate, machines, buffers, folder / "faults", direct, environment, broker
        )
        for machine in machines.values():
            started.callback(_end, machine)
        _start(running)
        yield running


def _environment(
    folder: Path, certificate: Certificate, url: str, pooler: int, valkey: int, broker: int
) -> dict[str, str]:
    """The variables that all machines share: the example with the addresses of the test."""
    (folder / "faults").mkdir()
    (folder / "media").mkdir()
    own = {
        "SITE_URL": url,
        "SECRET_KEY": "a key that both web processes share, long enough for Django",
        "DATABASE_URL": _database_url(certificate, pooler, "transcodio"),
        "DATABASE_PGBOUNCER": "true",
        "REDIS_URL": f"rediss://localhost:{valkey}/0?ssl_ca_certs={certificate.file}",
        "BROKER_URL": f"amqp://guest:guest@{HOST}:{broker}//",
        "EMAIL_URL": "consolemail://",
        "LEASE_SECONDS": "4",
        "VAR_DIR": str(folder / "commands"),
        "PYTHONPATH": str(HOLD_FOLDER),
        "HOLD_FILE": str(folder / "hold"),
        "DETERMINISTIC_ENGINE": str(folder / "faults"),
    }
    return dict(os.environ) | example_environment() | own


def _database_url(certificate: Certificate, port: int, name: str) -> str:
    tls = f"sslmode=verify-full&sslrootcert={certificate.file}"
    return f"postgresql://transcodio:{PASSWORD}@localhost:{port}/{name}?{tls}"


def _machine(folder: Path, port: int, environment: Mapping[str, str]) -> Machine:
    """A machine with its own data folder, and with the shared folder of recordings."""
    var = folder / "var"
    var.mkdir(parents=True)
    if "STORAGE_URL" not in os.environ:
        (var / "media").symlink_to(folder.parent / "media")
    return Machine(folder.name, folder, port, {**environment, "VAR_DIR": str(var)})


def _start(site: Site) -> None:
    command = commands()
    site.manage(*command["migrate"][2:])
    site.token = site.manage("create_token", EMAIL, "--create-user").splitlines()[-1]
    wait_until(lambda: servers.accepts(site.broker))
    worker = [QUEUES if part == "transcribe" else part for part in command["worker-transcribe"]]
    for machine in site.machines.values():
        machine.start("worker", worker)
        machine.start("beat", command["beat"])
        pool = machine.environment["DATABASE_URL"]
        web = {
            **machine.environment,
            "DATABASE_URL": pool.replace("/transcodio?", "/transcodio_web?"),
        }
        Machine(machine.name, machine.folder, machine.port, web, machine.processes).start(
            "web", command["web"]
        )
    site.token = site.manage("create_token", EMAIL, "--create-user").splitlines()[-1]
    for machine in site.machines.values():
        web_url = f"http://{HOST}:{machine.port}"
        wait_until(lambda url=web_url: is_healthy(url))  # type: ignore[misc]


def _end(machine: Machine) -> None:
    with suppress(ProcessLookupError):
        machine.kill()
