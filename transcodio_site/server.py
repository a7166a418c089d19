"""Daphne for large uploads: `python -m transcodio_site.server --bind HOST --port PORT`.

Plain Daphne reads a request body into memory (three times: Twisted parses forms, and the whole body
goes into a queue) and calls the application only after the last byte. This server checks the
headers of a large body before it arrives, and passes bodies to the application as files.
Plain Daphne also never waits for a client: here an application that sends a large response waits
until the client has read what was sent before.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from typing import Any

import daphne.server  # first: it installs the reactor that Twisted must use
from daphne.cli import CommandLineInterface
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketFactory
from django.core.exceptions import ImproperlyConfigured
from twisted.internet.defer import Deferred

from transcodio_site import asgi  # noqa: F401 - loads the apps, which the imports below need
from transcodio_site.http_channel import response_bytes
from transcodio_site.http_request import FlowControl, UploadFactory
from transcodio_site.monitoring import error_reports, telemetry
from transcodio_site.redis_url import check_server_mode
from transcodio_site.static_files import check_collected
from transcodio_site.web_memory import MemoryReturn, exclude_code_from_collection
from transcodio_site.websocket_messages import BoundedMessages, allow_large_messages

SHUTDOWN_TIMEOUT_S = 1.0  # for requests to finish, and again after their disconnect message
# For a slow client to answer a close frame. If the connection is dropped earlier, what was sent
# last may be lost, such as the reason.
CLOSE_TIMEOUT_S = 10
CLOSE_GOING_AWAY = 1001  # RFC 6455, section 7.4.1


class UploadServer(daphne.server.Server):  # type: ignore[misc]
    """Daphne's server with UploadFactory."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._memory = MemoryReturn()

    def application_checker(self) -> None:
        """Called every second."""
        self._remove_ended()
        self._memory.check(len(self.connections))

    def _remove_ended(self) -> None:
        """Remove the clients that have disconnected and whose application has ended: nothing refers
        to them any more."""
        before = dict(self.connections)
        super().application_checker()
        for protocol in before.keys() - self.connections.keys():
            details = before[protocol]
            self._memory.note_end(details["disconnected"] - details["connected"])

    @property
    def http_factory(self) -> UploadFactory:
        """`run()` assigns a plain factory, which the setter replaces."""
        return self._factory

    @http_factory.setter
    def http_factory(self, factory: HTTPFactory) -> None:
        self._factory = UploadFactory(self)

    @property
    def ws_factory(self) -> WebSocketFactory:
        """`run()` assigns a plain factory, too."""
        return self._ws_factory

    @ws_factory.setter
    def ws_factory(self, factory: WebSocketFactory) -> None:
        factory.setProtocolOptions(closeHandshakeTimeout=CLOSE_TIMEOUT_S)
        self._ws_factory = factory

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Pass the body on as a file; `FileBodyHandler` reads it. Limit the messages that wait."""
        if scope["type"] == "http":
            scope |= protocol.scope_extension()
        queue = super().create_application(protocol, scope)
        is_bounded = scope["type"] == "websocket" and queue is not None
        return BoundedMessages(protocol, queue) if is_bounded else queue

    def kill_all_applications(self) -> Deferred[None]:
        """Called before the server stops."""
        return Deferred.fromFuture(asyncio.ensure_future(self._shut_down()))

    async def _shut_down(self) -> None:
        """Let running requests finish. After the timeout send a disconnect message to the
        others."""
        running = {
            details["application_instance"]: protocol
            for protocol, details in self.connections.items()
            if "application_instance" in details
        }
        if not running:
            return
        _, pending = await asyncio.wait(running, timeout=SHUTDOWN_TIMEOUT_S)
        for application in pending:
            protocol = running[application]
            kind = "http" if isinstance(protocol, WebRequest) else "websocket"
            disconnect = {"type": f"{kind}.disconnect", "code": CLOSE_GOING_AWAY}
            protocol.application_queue.put_nowait(disconnect)
        if pending:
            await asyncio.wait(pending, timeout=SHUTDOWN_TIMEOUT_S)

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Send a part of a response or a message and wait until the next one can be sent."""
        if message["type"].startswith("websocket.http.response."):
            if protocol in self.connections:
                _deny(protocol, message)
            return
        await super().handle_reply(protocol, message)
        if message.get("more_body"):
            await protocol.wait_until_writable()
        elif message["type"] == "websocket.send":
            await _flow_control(protocol.transport).wait_until_writable()
        elif message["type"] == "websocket.accept":
            allow_large_messages(protocol)


def _deny(protocol: Any, message: dict[str, Any]) -> None:
    """Answer the handshake of a WebSocket with an HTTP response (ASGI's extension for that, which
    Daphne does not have)."""
    if message["type"] == "websocket.http.response.start":
        protocol.denial = message
        return
    if not hasattr(protocol, "handshake_deferred"):
        return  # the client has disconnected
    del protocol.handshake_deferred
    head = protocol.denial
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head["headers"]]
    protocol.sendData(response_bytes(head["status"], headers, message["body"]))
    protocol.dropConnection(abort=False)
    protocol.server.protocol_disconnected(protocol)


def _flow_control(transport: Any) -> FlowControl:
    """The flow control of a WebSocket. Before its first message, the HTTP channel is its
    producer."""
    if not isinstance(transport.producer, FlowControl):
        transport.unregisterProducer()
        transport.registerProducer(FlowControl(), True)
    return transport.producer or FlowControl()  # none: the client has disconnected


class Command(CommandLineInterface):  # type: ignore[misc]
    """Daphne's command line with our server."""

    server_class = UploadServer

    def run(self, args: list[str]) -> None:
        """Serve until it is stopped."""
        from django.conf import settings

        try:
            check_collected()
            check_server_mode(settings.REDIS_URL)
        except ImproperlyConfigured as error:
            sys.exit(f"Transcodio cannot start: {error}")
        # Twisted writes large bodies to temporary files: they belong on the disk with the data.
        tempfile.tempdir = str(settings.FILE_UPLOAD_TEMP_DIR)
        exclude_code_from_collection()
        super().run(args)
        # Python would wait for all threads, and some wait for an event loop that has stopped.
        telemetry.stop()
        error_reports.stop()
        logging.shutdown()
        os._exit(0)


if __name__ == "__main__":
    Command().run(
        [*sys.argv[1:], "--verbosity", "0", "--no-server-name", "transcodio_site.asgi:application"]
    )
