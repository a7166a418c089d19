"""A client of the WebSockets that accept audio, connected to the application in this process."""

from __future__ import annotations

import json
from typing import Any

from asgiref.testing import ApplicationCommunicator
from django.test import Client

from accounts.models import User
from accounts.tokens import issue_token
from transcodio_site.testing import WAIT_S

Message = dict[str, Any]


class AudioSocket(ApplicationCommunicator):
    """A connection of a page in `browser`, or else with a new API token of `user`. To be created in
    a thread with a database."""

    def __init__(
        self, user: User, path: str, query: str = "", browser: Client | None = None
    ) -> None:
        from transcodio_site.asgi import application

        headers = [(b"host", b"127.0.0.1")]
        if browser:
            cookie = f"sessionid={browser.cookies['sessionid'].value}"
            headers += [(b"origin", b"http://127.0.0.1"), (b"cookie", cookie.encode())]
        else:
            headers.append((b"authorization", f"Bearer {issue_token(user)[1]}".encode()))
        scope: dict[str, Any] = {
            "type": "websocket",
            "subprotocols": [],
            "client": ("127.0.0.1", 1),
        }
        scope |= {"path": path, "query_string": query.encode(), "headers": headers}
        super().__init__(application, scope)

    async def connect(self) -> Message:
        """Connect. Return the first message."""
        await self.send_input({"type": "websocket.connect"})
        answer = await self.receive_output(WAIT_S)
        assert answer["type"] == "websocket.accept", answer
        return (await self.until())[-1]

    async def refusal(self) -> tuple[int, dict[bytes, bytes], Any]:
        """Connect, and be refused. Return status, headers and content."""
        await self.send_input({"type": "websocket.connect"})
        start = await self.receive_output(WAIT_S)
        assert start["type"] == "websocket.http.response.start", start
        body = await self.receive_output(WAIT_S)
        return start["status"], dict(start["headers"]), json.loads(body["body"])

    async def send_audio(self, data: bytes) -> None:
        """Send a binary message."""
        await self.send_input({"type": "websocket.receive", "bytes": data})

    async def send_json(self, message: Message) -> None:
        """Send a text message."""
        await self.send_input({"type": "websocket.receive", "text": json.dumps(message)})

    async def until(self, kind: str = "") -> list[Message]:
        """The next messages, up to one of this type, or one message."""
        received: list[Message] = []
        while not received or kind not in ("", received[-1]["type"]):
            output = await self.receive_output(WAIT_S)
            assert output["type"] == "websocket.send", (output, received)
            received.append(json.loads(output["text"]))
        return received

    async def rest(self) -> tuple[list[Message], int]:
        """All messages until the server closes, and its close code."""
        received = []
        while (output := await self.receive_output(WAIT_S))["type"] == "websocket.send":
            received.append(json.loads(output["text"]))
        await self.disconnect(output["code"])
        return received, output["code"]

    async def disconnect(self, code: int = 1000) -> None:
        """Disconnect, and wait until the application has returned."""
        await self.send_input({"type": "websocket.disconnect", "code": code})
        await self.wait(WAIT_S)
