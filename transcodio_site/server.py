"""Daphne for large uploads: `python -m transcodio_site.server --bind HOST --port PORT`.

Plain Daphne reads a request body into memory (three times: Twisted parses forms, and the whole body
goes into a queue) and calls the application only after the last byte. This server refuses a body
that is too large as soon as that is known, and streams the others from disk to the application.
Plain Daphne also never waits for a client: here an application that sends a large response waits
until the client has read what was sent before.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from io import BytesIO
from typing import Any

import daphne.server  # first: it installs the reactor that Twisted must use
from asgiref.sync import sync_to_async
from daphne.cli import CommandLineInterface
from daphne.http_protocol import HTTPFactory, WebRequest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from transcodio_site.logs import valid_request_id

log = logging.getLogger(__name__)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "transcodio_site.settings")

CHUNK_BYTES = 256 * 1024
FORM_OVERHEAD_BYTES = 1 << 20  # that multipart may add to the file
SHUTDOWN_TIMEOUT_S = 1.0  # for requests to finish, and again after their disconnect message
CLOSE_GOING_AWAY = 1001  # RFC 6455, section 7.4.1
REFUSAL_TIMEOUT_S = 30.0  # in which a refused client can read the response before we disconnect
# Keys of the ASGI scope: when the headers arrived (seconds since 1970), and the file with the body.
STARTED_AT = "transcodio.started_at"
BODY = "transcodio.body"


@implementer(IPushProducer)
class FlowControl:
    """Closed while the client is slow to read; Twisted opens and closes it."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self.resumeProducing()

    async def wait_until_writable(self) -> None:
        """Return when more can be sent, or the client has disconnected."""
        await self._open.wait()

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        """About 64 kB are waiting to be sent."""
        self._open.clear()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """More can be sent."""
        self._open.set()

    stopProducing = resumeProducing  # noqa: N815 - the client has disconnected


class UploadRequest(WebRequest):  # type: ignore[misc]
    """One request whose body is on disk and within the limit."""

    content: Any  # the body, in memory while it is small and else in a temporary file

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Django parses forms in chunks; Twisted would do it in memory.
        super().__init__(*args, **kwargs, parsePOSTFormSubmission=False)
        self._received = 0
        self._refused = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """Called with the headers: a body that is too large is refused before it is sent."""
        super().gotLength(length)
        self.started_at = time.time()
        if length is not None and length > self._limit():
            self._refuse(413)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Store a chunk of the body. After a refusal, chunks are discarded."""
        self._received += len(data)
        if not self._refused and self._received > self._limit():
            self._refuse(413)
        if not self._refused:
            self._store(lambda: super(UploadRequest, self).handleContentChunk(data))

    def _store(self, write: Callable[[], object]) -> None:
        """Refuse the body if the disk is full."""
        try:
            write()
        except OSError as error:
            log.error("request body could not be stored: %s", error)
            self._refuse(507)

    def process(self) -> Any:
        """Called when the body is complete."""
        if not self._refused:
            self._store(self.content.flush)
        if self._refused:
            self.channel.loseConnection()
            return None
        if self.requestHeaders.hasHeader(b"Upgrade"):
            self.content = BytesIO()  # a handshake has no body
        return super().process()

    def finish(self) -> None:
        """Called when the whole response was sent."""
        if self.producer:
            self.unregisterProducer()
        super().finish()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 - Twisted's name
        """The client has disconnected: stop waiting for it."""
        if self.producer:
            self.producer.stopProducing()
        super().connectionLost(reason)

    async def wait_until_writable(self) -> None:
        """Return when the client can receive more of the response."""
        if self.finished or self.channel is None:
            return
        if not self.producer:
            self.registerProducer(FlowControl(), True)
        await self.producer.wait_until_writable()

    def take_body(self) -> Any:
        """Return the file with the body, and leave an empty one to Daphne, which would queue it
        all."""
        body: Any = self.content
        self.content = BytesIO()
        body.seek(0)
        return body

    def _refuse(self, status: int) -> None:
        # Only our side of the connection is closed, and what still arrives is read: after a reset
        # a client that is still sending could not read the response.
        self._refused = True
        self.requestHeaders.removeHeader(b"expect")  # or Twisted also sends "100 Continue"
        self.channel.persistent = False
        transport = self.channel.transport
        path = getattr(self.channel, "_path", b"")  # the request has it only after the body
        request_id = self.requestHeaders.getRawHeaders(b"x-request-id", [b""])[0]
        transport.write(_response(status, path, valid_request_id(request_id.decode("latin-1"))))
        if hasattr(transport, "loseWriteConnection"):
            transport.loseWriteConnection()
        reactor.callLater(REFUSAL_TIMEOUT_S, self._disconnect)  # type: ignore[arg-type]

    def _disconnect(self) -> None:
        if self.channel is not None:
            self.channel.loseConnection()

    @staticmethod
    def _limit() -> int:
        from django.conf import settings

        return int(settings.MAX_FILE_SIZE_MB) * 1024 * 1024 + FORM_OVERHEAD_BYTES


def _response(status: int, path: bytes, request_id: str) -> bytes:
    from transcriptions.api.openai import error_body
    from transcriptions.uploads.service import disk_full, too_large

    refusal = too_large() if status == 413 else disk_full()
    content = (
        error_body(refusal.code, str(refusal))
        if path.startswith(b"/v1/")
        else {"detail": str(refusal), "code": refusal.code}
    )
    body = json.dumps(content).encode()
    return (
        b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nX-Request-ID: %s\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%s"
        % (
            refusal.status,
            HTTPStatus(refusal.status).phrase.encode(),
            request_id.encode(),
            len(body),
            body,
        )
    )


class UploadFactory(HTTPFactory):  # type: ignore[misc]
    """Creates UploadRequests."""

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 - Twisted's name
        """Create the protocol of a connection."""
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = UploadRequest
        return protocol


class UploadServer(daphne.server.Server):  # type: ignore[misc]
    """Daphne's server with UploadFactory."""

    @property
    def http_factory(self) -> UploadFactory:
        """`run()` assigns a plain factory, which the setter replaces."""
        return self._factory

    @http_factory.setter
    def http_factory(self, factory: HTTPFactory) -> None:
        self._factory = UploadFactory(self)

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Pass the body on as a file; `BodyFromDisk` reads it."""
        if scope["type"] == "http":
            scope[BODY] = protocol.take_body()
            scope[STARTED_AT] = protocol.started_at
        return super().create_application(protocol, scope)

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
        """Send a part of a response and wait until the next one can be sent."""
        await super().handle_reply(protocol, message)
        if message.get("more_body"):
            await protocol.wait_until_writable()


class BodyFromDisk:
    """ASGI middleware: streams the body from its file, a chunk at a time."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Call the application. Without a file in the scope (another ASGI server) nothing
        changes."""
        body = scope.pop(BODY, None)
        if body is None:
            await self.app(scope, receive, send)
            return
        _set_content_length(scope, body)
        complete = False

        async def receive_chunk() -> Any:
            nonlocal complete
            if complete:
                return await anext(messages)
            chunk = await sync_to_async(body.read, thread_sensitive=False)(CHUNK_BYTES)
            complete = len(chunk) < CHUNK_BYTES
            return {"type": "http.request", "body": chunk, "more_body": not complete}

        messages = _messages_without_body(receive)
        try:
            await self.app(scope, receive_chunk, send)
        finally:
            body.close()


def _set_content_length(scope: dict[str, Any], body: Any) -> None:
    """Add a Content-Length to a chunked body, which Django would treat as empty."""
    if not any(name == b"content-length" for name, _ in scope["headers"]):
        length = b"%d" % body.seek(0, os.SEEK_END)
        body.seek(0)
        scope["headers"] = [*scope["headers"], (b"content-length", length)]


async def _messages_without_body(receive: Any) -> AsyncIterator[Any]:
    """All messages except the body: that the client has disconnected."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            yield message


class Command(CommandLineInterface):  # type: ignore[misc]
    """Daphne's command line with our server."""

    server_class = UploadServer

    def run(self, args: list[str]) -> None:
        """Serve until it is stopped."""
        from django.conf import settings

        # Twisted writes large bodies to temporary files: they belong on the disk with the data.
        tempfile.tempdir = str(settings.FILE_UPLOAD_TEMP_DIR)
        super().run(args)
        # Python would wait for all threads, and some wait for an event loop that has stopped.
        logging.shutdown()
        os._exit(0)


if __name__ == "__main__":
    Command().run([*sys.argv[1:], "--verbosity", "0", "transcodio_site.asgi:application"])
