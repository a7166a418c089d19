"""Whether Modal can be reached: addresses, probes, and the circuit breaker."""

from __future__ import annotations

import re
import socket
import threading
from typing import Any

import pytest

from gpu.modal import connectivity
from gpu.modal.connectivity import CircuitBreaker
from gpu.modal.engine import ModalEngine
from gpu.tests.modal.conftest import never
from gpu.tests.modal.control_plane import ControlPlane
from gpu.types import Audio, CircuitOpen, Unreachable


def test_default_server_addresses_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODAL_SERVER_URL", raising=False)
    monkeypatch.setenv("MODAL_DISABLE_API_PROXY", "1")  # whatever proxy this machine needs
    found = connectivity.server_addresses()
    assert ("api.modal.com", 443) in found
    assert all(re.fullmatch(r"[a-z0-9.-]+", host) for host, _ in found)


def test_proxy_is_probed_instead_of_the_servers_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODAL_SERVER_URL", "https://api.modal.com,https://intern.example:8443")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "intern.example")
    monkeypatch.delenv("MODAL_DISABLE_API_PROXY", raising=False)
    assert connectivity.server_addresses() == [("127.0.0.1", 9), ("intern.example", 8443)]
    monkeypatch.setenv("MODAL_DISABLE_API_PROXY", "1")
    assert connectivity.server_addresses() == [("api.modal.com", 443), ("intern.example", 8443)]


def test_silent_name_server_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()

    def wait(*_: Any) -> list[Any]:
        answered.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "it has said nothing")

    monkeypatch.setattr("gpu.modal.connectivity.PROBE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", wait)
    try:
        with pytest.raises(Unreachable, match="no response within"):
            connectivity.probe()
    finally:
        answered.set()


def test_open_circuit_lets_one_attempt_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gpu.modal.connectivity.OPEN_CIRCUIT_S", 3600.0)
    breaker = CircuitBreaker()
    for _ in range(connectivity.FAILURE_THRESHOLD):
        breaker.check()
        breaker.record_failure(Unreachable("gone"))
    with pytest.raises(CircuitOpen, match="gone"):
        breaker.check()
    monkeypatch.setattr("gpu.modal.connectivity.OPEN_CIRCUIT_S", 0.0)
    breaker.record_failure(Unreachable("gone"))
    monkeypatch.setattr("gpu.modal.connectivity.OPEN_CIRCUIT_S", 3600.0)
    breaker.check()
    with pytest.raises(CircuitOpen, match="gone"):  # one attempt at a time
        breaker.check()
    breaker.record_success()
    breaker.record_failure(Unreachable("gone"))
    breaker.check()


def test_first_event_closes_the_circuit(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ModalEngine()
    monkeypatch.setattr("gpu.modal.connectivity.OPEN_CIRCUIT_S", 0.0)
    for _ in range(connectivity.FAILURE_THRESHOLD):
        engine._circuit.record_failure(Unreachable("gone"))
    monkeypatch.setattr("gpu.modal.connectivity.OPEN_CIRCUIT_S", 3600.0)
    trial = engine.stream(audio, never)
    next(trial)
    engine._circuit.check()
    trial.close()  # type: ignore[attr-defined]
