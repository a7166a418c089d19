"""The control plane is unreachable. This file is the last one, as the client needs half a minute to
reconnect."""

from __future__ import annotations

import pytest

from gpu.modal import connectivity
from gpu.modal.engine import ModalEngine
from gpu.tests.modal.conftest import never
from gpu.tests.modal.control_plane import ControlPlane
from gpu.types import Audio, CircuitOpen, Unreachable


def test_server_that_dies_mid_stream_is_noticed_by_a_probe(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client itself would try for a minute, and report a broken connection."""
    monkeypatch.setattr("gpu.modal.calls.PROBE_AFTER_S", 0.5)
    with deployed.hold():
        stream = ModalEngine().stream(audio, never)
        next(stream)
        deployed.stop()
        try:
            with pytest.raises(Unreachable, match="Modal does not answer"):
                list(stream)
        finally:
            deployed.start()


def test_unreachable_server_opens_the_circuit_after_some_failures(
    deployed: ControlPlane, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe decides this, not the client, which would try for a minute."""
    monkeypatch.setattr("gpu.modal.connectivity.OPEN_CIRCUIT_S", 3600.0)
    engine = ModalEngine()
    deployed.stop()
    try:
        for _ in range(connectivity.FAILURE_THRESHOLD):
            with pytest.raises(Unreachable, match=r"does not answer.*127\.0\.0\.1"):
                list(engine.stream(audio, never))
        with pytest.raises(CircuitOpen, match="not tried"):
            list(engine.stream(audio, never))
    finally:
        deployed.start()
    with pytest.raises(CircuitOpen, match="not tried"):  # although the server is back
        list(engine.stream(audio, never))
