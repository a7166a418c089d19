"""Servers that hang, and statements that take too long: the web process answers with 503."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from transcodio_site.database import limit_statements
from transcodio_site.embedded import postgres_url
from transcodio_site.embedded.postgres import Postgres
from transcodio_site.embedded.valkey import Valkey
from transcodio_site.testing import Stack, wait_until


@pytest.fixture(scope="module")
def url(stack: Stack) -> Iterator[str]:
    """A web process on the data of the stack, with one database connection and a statement timeout
    of two seconds."""
    limits = {"DATABASE_STATEMENT_TIMEOUT": "2", "DATABASE_POOL_SIZE": "1", "LOG_LEVEL": "ERROR"}
    with stack.another_web(**limits) as (url, _pid):
        yield url


@pytest.mark.parametrize(
    ("name", "server"),
    [("postgres", Postgres), pytest.param("valkey", Valkey, marks=pytest.mark.slow)],
)
@pytest.mark.covers("fault", "Postgres or Valkey hangs without closing its connections (SIGSTOP)")
def test_health_names_the_server_that_hangs(
    stack: Stack, url: str, name: str, server: type[Postgres] | type[Valkey]
) -> None:
    process = server(stack.var).running()
    assert process
    process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: httpx.get(f"{url}/health").status_code == 503)
        checks = httpx.get(f"{url}/health").json()["checks"]
    finally:
        process.send_signal(signal.SIGCONT)
    assert checks == {"postgres": "ok", "valkey": "ok"} | {name: "unavailable"}
    wait_until(lambda: httpx.get(f"{url}/health").status_code == 200)


@pytest.mark.covers("attack", "Slow statements use up all database connections of the web process")
def test_waiting_statement_is_cancelled_with_503(stack: Stack, url: str) -> None:
    headers = {"Authorization": f"Bearer {stack.token('waiting@example.com')}"}
    library = f"{url}/api/transcriptions"
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
    with psycopg.connect(postgres_url(stack.var)) as blocker, ThreadPoolExecutor() as threads:
        blocker.execute("LOCK TABLE transcriptions_transcription")
        request = threads.submit(httpx.get, library, headers=headers)
        wait_until(lambda: blocker.execute(waiting).fetchall() or request.done())
        assert httpx.get(f"{url}/health").status_code == 200  # with the only connection in use
        response = request.result()
        blocker.rollback()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.json()["code"] == "unavailable"
    assert httpx.get(library, headers=headers).status_code == 200


def test_statement_timeout_keeps_other_options() -> None:
    database: dict[str, Any] = {"OPTIONS": {"options": "-c work_mem=8MB"}}
    limit_statements(database, 10)
    assert database["OPTIONS"] == {
        "options": "-c work_mem=8MB -c statement_timeout=10s -c lock_timeout=5000ms"
    }
    unlimited: dict[str, Any] = {"OPTIONS": {}}
    limit_statements(unlimited, 0)
    assert unlimited == {"OPTIONS": {}}
