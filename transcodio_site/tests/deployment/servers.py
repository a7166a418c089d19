"""The servers around Transcodio, from Debian, with the configuration of deploy/ where there is one.

All of them listen on free ports of the loopback interface, and end with the test.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import PGconn, Ping

from transcodio_site.embedded.folders import prepare
from transcodio_site.embedded.postgres import Postgres
from transcodio_site.supervisor import free_port
from transcodio_site.testing import ROOT, wait_until

DEPLOY = ROOT / "deploy"
PROGRAMS = ("caddy", "nginx", "openssl", "pgbouncer", "rabbitmq-server", "redis-server")
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the one on PATH requires its own user
PASSWORD = "correct-horse"
HOST = "127.0.0.1"


def require_programs() -> None:
    """Skip the test, or fail it in CI, if a program is missing."""
    path = os.environ["PATH"] + ":/usr/sbin"
    missing = [name for name in PROGRAMS if not shutil.which(name, path=path)]
    if missing and os.environ.get("REQUIRE_SERVERS"):
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def free_ports(count: int) -> list[int]:
    """Distinct free ports."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return sorted(ports)


def accepts(port: int) -> bool:
    """Whether a server listens on this port."""
    with closing(socket.socket()) as client:
        return client.connect_ex((HOST, port)) == 0


@contextmanager
def process(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program while the body runs. Its output is appended to `log`."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield running
    finally:
        running.terminate()
        running.wait()


@contextmanager
def server(
    command: list[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The same for a program that listens on `port`; it does when the body starts."""
    with process(command, log, environment, log.parent) as running:
        wait_until(lambda: accepts(port) or running.poll() is not None)
        assert running.poll() is None, log.read_text(errors="replace")
        yield running


def substitute(text: str, replacements: Mapping[str, str]) -> str:
    """Replace each key. Fails if a key is missing: the file has changed, and the test must be
    adapted."""
    for old, new in replacements.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for localhost, which is also the one of its authority."""

    file: Path
    key: Path

    @classmethod
    def create(cls, folder: Path) -> Certificate:
        certificate = cls(folder / "fullchain.pem", folder / "privkey.pem")
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        command = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext {names}"
        files = ["-keyout", str(certificate.key), "-out", str(certificate.file)]
        subprocess.run(["openssl", *command.split(), *files], check=True, capture_output=True)
        certificate.key.chmod(0o644)  # PgBouncer reads it as another user
        return certificate


@contextmanager
def postgres(folder: Path) -> Iterator[int]:
    """Postgres on a port, with the role and the database `transcodio`. The body gets the port."""
    prepare(folder / "postgres-data")
    embedded = Postgres((folder / "postgres-data").resolve())
    embedded.prepare()
    assert embedded.cluster
    rules = f"local all all trust\nhost all all {HOST}/32 scram-sha-256\n"
    embedded.cluster.user.write(embedded.cluster.data / "pg_hba.conf", rules)
    port = free_port()
    program, *options = embedded.command()
    options[options.index("-h") + 1] = HOST
    options[options.index("-p") + 1] = str(port)
    fast = [option for name in ("fsync", "synchronous_commit") for option in ("-c", f"{name}=off")]
    with (folder / "postgres.log").open("ab") as log:
        running = subprocess.Popen(
            [program, *options, *fast],
            cwd="/",
            stdout=log,
            stderr=log,
            **embedded.process_options(),
        )
    try:
        superuser = f"host={embedded.sockets} port={port} user=postgres dbname=postgres"
        wait_until(lambda: PGconn.ping(superuser.encode()) == Ping.OK)
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE transcodio LOGIN PASSWORD '{PASSWORD}'")
            connection.execute("CREATE DATABASE transcodio OWNER transcodio")
        yield port
    finally:
        running.send_signal(embedded.stop_signal)
        running.wait()


@contextmanager
def pgbouncer(folder: Path, certificate: Certificate, database_port: int) -> Iterator[int]:
    """deploy/pgbouncer/pgbouncer.ini in front of Postgres. The body gets its port."""
    port = free_port()
    users = folder / "userlist.txt"
    users.write_text(f'"transcodio" "{PASSWORD}"\n')
    configuration = substitute(
        (DEPLOY / "pgbouncer" / "pgbouncer.ini").read_text(),
        {
            "host=db.example.com port=5432": f"host={HOST} port={database_port}",
            "listen_addr = 0.0.0.0": f"listen_addr = {HOST}",
            "6432": str(port),
            "/etc/pgbouncer/userlist.txt": str(users),
            "/etc/ssl/transcodio/fullchain.pem": str(certificate.file),
            "/etc/ssl/transcodio/privkey.pem": str(certificate.key),
        },
    )
    (folder / "pgbouncer.ini").write_text(configuration + "unix_socket_dir =\n")
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    command = ["/usr/sbin/pgbouncer", *user, str(folder / "pgbouncer.ini")]
    with server(command, port, folder / "pgbouncer.log"):
        yield port


@contextmanager
def valkey(folder: Path, certificate: Certificate) -> Iterator[int]:
    """A Redis that accepts only TLS. The body gets its port."""
    port = free_port()
    options = {
        "--port": "0",
        "--tls-port": str(port),
        "--bind": HOST,
        "--tls-cert-file": str(certificate.file),
        "--tls-key-file": str(certificate.key),
        "--tls-ca-cert-file": str(certificate.file),
        "--tls-auth-clients": "no",
        "--save": "",
        "--dir": str(folder),
    }
    arguments = [part for option in options.items() for part in option]
    with server(["redis-server", *arguments], port, folder / "redis.log"):
        yield port


@contextmanager
def rabbitmq(folder: Path) -> Iterator[int]:
    """RabbitMQ with data of its own. The body gets its port, and may have to wait for it."""
    home = folder / "rabbitmq"
    home.mkdir()
    port, distribution, names = free_ports(3)
    environment = os.environ | {
        "HOME": str(home),
        "ERL_EPMD_ADDRESS": HOST,
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_LOG_BASE": str(home),
        "RABBITMQ_MNESIA_BASE": str(home),
        "RABBITMQ_NODENAME": f"transcodio-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": HOST,
        "RABBITMQ_NODE_PORT": str(port),
    }
    with (
        server(["epmd"], names, folder / "epmd.log", environment),
        process([RABBITMQ], folder / "rabbitmq.log", environment),
    ):
        yield port


@contextmanager
def nginx(folder: Path, certificate: Certificate, port: int, web: list[int]) -> Iterator[Path]:
    """The files of deploy/nginx/ in front of the web processes. The body gets the folder in which
    nginx would store what it buffers."""
    files = DEPLOY / "nginx"
    buffers = folder / "nginx-buffers"
    buffers.mkdir()
    upstream = {f"127.0.0.1:{8001 + index}": f"{HOST}:{port}" for index, port in enumerate(web)}
    (folder / "upstream.conf").write_text(
        substitute((files / "upstream.conf").read_text(), upstream)
    )
    site = {
        "listen 80": f"listen {HOST}:{free_port()}",
        "listen 443 ssl": f"listen {HOST}:{port} ssl",
        "transcodio.example.com": "localhost",
        "/etc/ssl/transcodio/fullchain.pem": str(certificate.file),
        "/etc/ssl/transcodio/privkey.pem": str(certificate.key),
    }
    (folder / "transcodio.conf").write_text(
        substitute((files / "transcodio.conf").read_text(), site)
    )
    paths = "".join(
        f"    {kind}_temp_path {buffers};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log stderr;\n"
        + ("user root;\n" if os.geteuid() == 0 else "")
        + "events {}\nhttp {\n    access_log off;\n"
        + f"{paths}    include {folder}/upstream.conf;\n    include {folder}/transcodio.conf;\n}}\n"
    )
    command = [
        "/usr/sbin/nginx",
        "-c",
        str(folder / "nginx.conf"),
        "-p",
        str(folder),
        "-e",
        "stderr",
    ]
    with server(command, port, folder / "nginx.log"):
        yield buffers
