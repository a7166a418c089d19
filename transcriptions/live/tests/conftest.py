"""A scripted engine that listens to live sessions, and the connections of asynchronous tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

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


@pytest.fixture
async def new_connections() -> AsyncIterator[None]:
    """Asynchronous tests share a thread, whose connection another test may have ended, and which
    would still be open when the test database is deleted."""
    await sync_to_async(connections.close_all)()
    yield
    await sync_to_async(connections.close_all)()
