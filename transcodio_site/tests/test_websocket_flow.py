"""The server waits for slow readers of a WebSocket instead of buffering what they do not read."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from daphne.ws_protocol import WebSocketFactory
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from transcodio_site.server import UploadServer

MESSAGE = {"type": "websocket.send", "text": "event"}


class Connection:
    """An open WebSocket whose handshake was handled by an HTTP channel."""

    def __init__(self) -> None:
        self.transport = StringTransport()
        self.transport.registerProducer(SimpleNamespace(stopProducing=lambda: None), True)

    def handle_reply(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self.transport.write(message["text"].encode())


@pytest.mark.covers("attack", "A client opens WebSockets and does not read what it is sent")
@pytest.mark.parametrize("end", ["resumeProducing", "stopProducing"])
async def test_next_message_waits_until_client_reads_or_leaves(end: str) -> None:
    server = UploadServer(None, endpoints=["tcp:0"])
    connection = Connection()
    server.connections = {connection: {}}
    await server.handle_reply(connection, MESSAGE)
    flow: Any = connection.transport.producer
    flow.pauseProducing()
    sending = asyncio.create_task(server.handle_reply(connection, MESSAGE))
    assert (await asyncio.wait([sending], timeout=0))[1] == {sending}
    getattr(flow, end)()
    await sending
    assert connection.transport.value() == b"eventevent"


def test_slow_client_has_ten_seconds_to_answer_a_close_frame() -> None:
    server = UploadServer(None, endpoints=["tcp:0"])
    server.ws_factory = WebSocketFactory(server)
    server.ws_factory.setProtocolOptions(allowNullOrigin=True)  # as `run()` does
    connection = server.ws_factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
    connection.makeConnection(StringTransport())
    assert connection.closeHandshakeTimeout == 10
