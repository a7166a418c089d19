"""How a connection learns that its session has ended, even if it sends no more audio."""

from __future__ import annotations

from transcriptions.live import sessions
from transcriptions.live.sessions import SessionEnded
from transcriptions.live.sockets import in_thread
from transcriptions.models import LiveSession
from transcriptions.realtime import stored
from transcriptions.realtime.hub import Watcher, watch
from transcriptions.realtime.messages import LiveEnded, Stored, event_channel

CHECK_S = 10.0  # without any message, after which the database is asked: one may have been lost


async def wait_for_end(session: LiveSession) -> SessionEnded:
    """Wait until the session accepts no more audio. Return why."""
    async with watch(stored.newest, event_channel(session.pk)) as watcher:
        while not (ended := await in_thread(sessions.find_end, session)):
            await _wait_for_sign(watcher)
        return ended


async def _wait_for_sign(watcher: Watcher) -> None:
    """Words are recognized while a session goes on: their messages do not count."""
    while not isinstance(await watcher.next(CHECK_S), LiveEnded | Stored | None):
        pass
