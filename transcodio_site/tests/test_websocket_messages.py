"""Messages that wait for the application of a WebSocket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from transcodio_site import websocket_messages
from transcodio_site.websocket_messages import CLOSE_TOO_FAST, BoundedMessages

DISCONNECT = {"type": "websocket.disconnect", "code": 1006}


class Protocol:
    """The protocol of a connection, as far as it is used here."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    def serverClose(self, code: int) -> None:  # noqa: N802 - Daphne's name
        self.codes.append(code)


def message(size: int) -> dict[str, Any]:
    return {"type": "websocket.receive", "bytes": bytes(size)}


@pytest.mark.covers("attack", "A WebSocket sends messages faster than they are worked on")
def test_client_is_disconnected_when_too_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_messages, "MAX_WAITING_BYTES", 10)
    protocol, queue = Protocol(), asyncio.Queue[dict[str, Any]]()
    messages = BoundedMessages(protocol, queue)
    for _ in range(20):  # as fast as the application takes them
        messages.put_nowait(message(6))
        queue.get_nowait()
    messages.put_nowait(message(6))
    assert protocol.codes == []
    messages.put_nowait(message(6))
    assert protocol.codes == [CLOSE_TOO_FAST]
    messages.put_nowait(message(1))  # was sent before the client knew
    messages.put_nowait(DISCONNECT)
    assert [queue.get_nowait() for _ in range(queue.qsize())] == [message(6), DISCONNECT]
