"""The speakers of a live recording are detected when it has ended."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from accounts.models import User
from transcriptions.live.tests.audio_socket import AudioSocket
from transcriptions.live.tests.test_sessions import tone
from transcriptions.models import DiarizationJob, State, Transcription
from transcriptions.processing import diarizing, live
from transcriptions.processing.tests.detecting import work
from transcriptions.processing.tests.diarizers import ScriptedDiarizer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("live_engine", "new_connections"),
]


async def in_worker(function: Any, *arguments: Any) -> None:
    """Call it in another thread. It must return True."""

    def call() -> bool:
        try:
            return bool(function(*arguments))
        finally:
            connections.close_all()

    assert await asyncio.to_thread(call)


@pytest.fixture
def diarizer(monkeypatch: pytest.MonkeyPatch) -> ScriptedDiarizer:
    """The first two seconds are by one speaker, the rest by another."""
    scripted = ScriptedDiarizer()
    monkeypatch.setattr(diarizing, "get_diarizer", lambda name: scripted)
    return scripted


@pytest.mark.parametrize("is_default", [False, True])
async def test_speakers_are_sent_before_the_last_event(
    alice: User, diarizer: ScriptedDiarizer, is_default: bool
) -> None:
    await User.objects.aupdate(detect_speakers=is_default)
    query = "" if is_default else "diarize=true&max_speakers=3"
    socket = await sync_to_async(AudioSocket)(alice, "/api/live", query)
    session = uuid.UUID((await socket.connect())["session"])
    await socket.send_audio(tone(5))
    await socket.send_json({"type": "end"})
    await socket.until("received")
    await in_worker(live.listen, session)
    row = await Transcription.objects.aget()
    job = await DiarizationJob.objects.aget(transcription=row)
    assert (row.state, job.state) == (State.COMPLETED, "waiting")
    assert job.max_speakers == (None if is_default else 3)
    await in_worker(work)
    messages, code = await socket.rest()
    assert [each["type"] for each in messages[-2:]] == ["speakers", "complete"]
    assert [each["type"] for each in messages].count("complete") == 1
    assert len(messages[-2]["speakers"]) == 2
    assert code == 1000
    assert not await DiarizationJob.objects.aexists()
    assert len(diarizer.calls) == 1
