"""A scripted engine that listens to live sessions."""

from __future__ import annotations

import pytest

from transcriptions.processing import live, live_input
from transcriptions.testing import ScriptedEngine


@pytest.fixture
def live_engine(
    engine: ScriptedEngine, folders: None, monkeypatch: pytest.MonkeyPatch
) -> ScriptedEngine:
    """The scripted engine; a session without audio is released immediately."""
    monkeypatch.setattr(live, "get_engine", lambda name: engine)
    monkeypatch.setattr(live_input, "PARK_AFTER_S", 0.0)
    return engine
