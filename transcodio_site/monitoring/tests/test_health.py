"""Health: what is checked, what a stranger sees, and parts that hang."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import Client, override_settings

from transcodio_site import valkey
from transcodio_site.monitoring import parts, processes, shared_check
from transcodio_site.monitoring.parts import Part, PartFailed, Result
from transcodio_site.monitoring.shared_check import SharedCheck
from transcodio_site.testing import WAIT_S, wait_until

TOKEN = "a-long-random-token"
LOCAL: dict[str, Any] = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8000"}


@pytest.fixture(autouse=True)
def busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that work have as much time as they need."""
    for module in (parts, valkey):
        monkeypatch.setattr(module, "TIMEOUT_S", WAIT_S)


def get_parts(**headers: str) -> dict[str, Any]:
    found: dict[str, Any] = Client().get("/health/ready", **(LOCAL | headers)).json()["parts"]
    return found


# --- What is checked ----------------------------------------------------------------------------


@pytest.mark.covers(
    "fault", "Postgres and Valkey are down while the liveness of a process is checked"
)
def test_live_needs_neither_postgres_nor_valkey() -> None:
    away = override_settings(REDIS_URL="unix:///nowhere/valkey.sock?db=0")
    # A new thread has no database connection, and without the fixture `db` none can be opened.
    with away, ThreadPoolExecutor() as server:
        response = server.submit(lambda: Client().get("/health/live")).result()
    assert (response.status_code, response.json()["status"]) == (200, "live")


def test_ready_has_every_part_with_its_delay(db: None) -> None:
    response = Client().get("/health/ready", **LOCAL)
    body = response.json()
    assert (response.status_code, body["status"]) == (200, "degraded")  # no worker in this test
    works = {name for name, part in body["parts"].items() if part["ok"]}
    assert works == {"postgres", "migrations", "valkey", "broker", "storage", "restarts"}
    assert set(body["parts"]) - works == {
        *(f"worker_{queue}" for queue in parts.queues()),
        "beat",
    }
    assert all(part["ms"] >= 0 for part in body["parts"].values())
    assert "no scheduler has reported" in body["parts"]["beat"]["detail"]


def test_ready_with_worker_and_scheduler(db: None) -> None:
    processes.report_running("worker@here", parts.queues())
    processes.report_running("beat@here", [processes.BEAT])
    assert Client().get("/health/ready").json()["status"] == "ready"
    parts.parts.cache_clear()
    processes.report_exit("worker@here", ["transcribe"])
    found = get_parts()
    assert [name for name, part in found.items() if not part["ok"]] == ["worker_transcribe"]


@pytest.mark.covers("fault", "Postgres, Valkey, the broker or the storage fails")
@pytest.mark.parametrize("name", ["postgres", "migrations", "valkey", "broker", "storage"])
def test_unavailable_without_an_essential_part(
    db: None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("/srv/secret/path: broken")

    monkeypatch.setattr(parts, f"_check_{name}", fail)
    response = Client().get("/health/ready", **LOCAL)
    assert (response.status_code, response.json()["status"]) == (503, "unavailable")
    assert response.json()["parts"][name]["detail"] == "OSError: /srv/secret/path: broken"


@pytest.mark.covers("fault", "A process of a new release runs on a database without its migrations")
def test_missing_migration_is_named(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    current = parts._migrations()
    monkeypatch.setattr(parts, "_migrations", lambda: current | {("accounts", "9999_new")})
    with pytest.raises(PartFailed, match="1 not applied, such as accounts 9999_new: run"):
        parts._check_migrations()


@pytest.mark.covers("fault", "The worker crashes again and again")
def test_process_that_keeps_crashing_is_named_with_its_last_line(db: None) -> None:
    for number in range(processes.MANY_RESTARTS):
        assert get_parts()["restarts"]["ok"]
        parts.parts.cache_clear()
        processes.report_stop("worker", f"RuntimeError: {number}, tk_{'x' * 40}")
    detail = get_parts()["restarts"]["detail"]
    assert detail == "worker was restarted 3 times in 5 minutes: RuntimeError: 2, tk_[redacted]"


# --- What a stranger sees -----------------------------------------------------------------------


@pytest.mark.covers("attack", "A stranger reads paths and errors of the machine from /health/ready")
@pytest.mark.parametrize(
    "headers",
    [
        {"REMOTE_ADDR": "203.0.113.9"},
        {"HTTP_X_FORWARDED_FOR": "203.0.113.9"},  # through a proxy on this machine
        {"HTTP_VIA": "1.1 proxy"},
        {"HTTP_HOST": "rebound.example"},  # a page in a browser on this machine
        {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}", "REMOTE_ADDR": "203.0.113.9"},  # of no setting
    ],
)
def test_stranger_sees_no_details(db: None, headers: dict[str, str]) -> None:
    assert all(set(part) == {"ok", "ms"} for part in get_parts(**headers).values())


def test_token_shows_details_everywhere_and_nothing_else_does(db: None, settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert "detail" not in get_parts()["beat"]
    assert "detail" not in get_parts(HTTP_AUTHORIZATION="Bearer wrong")["beat"]
    remote = {"REMOTE_ADDR": "203.0.113.9", "HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}
    assert get_parts(**remote)["beat"]["detail"]


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_probe_with_the_address_of_a_container(db: None, path: str, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.RATE_LIMIT_PER_ADDRESS = "1/hour"
    for _ in "12":
        assert Client().get(path, HTTP_HOST="10.1.2.3:8000").status_code == 200


# --- Parts that hang ----------------------------------------------------------------------------


@pytest.mark.covers("fault", "A part of the installation hangs while its health is checked")
def test_part_that_hangs_is_reported_and_holds_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "TIMEOUT_S", 0.05)
    released, calls = threading.Event(), list[int]()

    def hang() -> None:
        calls.append(1)
        released.wait()

    part = Part("slow", hang, essential=True)
    try:
        for _ in range(5):
            result = parts.results([part])["slow"]
            assert not result.ok
            assert "no answer for" in result.detail
        wait_until(lambda: calls)
        assert calls == [1]
    finally:
        released.set()
    monkeypatch.setattr(parts, "TIMEOUT_S", WAIT_S)
    wait_until(lambda: parts.results([part])["slow"].ok)


@pytest.mark.covers("attack", "Someone requests the health of the service many times a second")
def test_result_is_shared_by_many_requests() -> None:
    calls = list[int]()
    check = SharedCheck(lambda: calls.append(1), max_age_s=3600)
    for _ in range(20):
        check.start().result(timeout_s=3600)
    assert calls == [1]


def test_old_result_is_not_used_again() -> None:
    calls = list[int]()
    check = SharedCheck(lambda: calls.append(1), max_age_s=-1)
    for _ in "12":
        check.start().result(timeout_s=3600)
    assert calls == [1, 1]


@pytest.mark.covers("fault", "Postgres is down for a moment while a slow metric is read")
def test_error_is_kept_for_a_shorter_time_than_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_check, "RETRIED_AFTER_S", -1)
    outcomes = iter([OSError("away"), None])

    def read() -> str:
        if error := next(outcomes):
            raise error
        return "back"

    check = SharedCheck(read, max_age_s=3600)
    with pytest.raises(OSError, match="away"):
        check.start().result(timeout_s=3600)
    assert check.start().result(timeout_s=3600) == "back"
    assert check.start().result(timeout_s=3600) == "back"


def test_error_of_a_part_is_one_line() -> None:
    def fail() -> None:
        raise ValueError("first\n  second")

    result = parts.results([Part("broken", fail, essential=True)])["broken"]
    assert (result.ok, result.detail) == (False, "ValueError: first second")
    assert isinstance(result, Result)
