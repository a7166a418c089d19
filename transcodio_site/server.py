"""Daphne, made fit for large uploads: `python -m transcodio_site.server --bind HOST --port PORT`.

As it comes, Daphne reads a whole request body into memory (three times: Twisted parses forms, and
all of it goes into a queue), and the application is asked only after the last byte. Here a body
that is too large is refused as soon as that is known, and others go from disk to the application in
pieces that it asks for. Nor does Daphne ever wait for a client: here an application that sends a
large answer goes on when the client has taken what was sent before.
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

PIECE = 256 * 1024
FORM_OVERHEAD = 1 << 20  # bytes that multipart may add around the file
GRACE = 1.0  # seconds that requests have to come to their end, twice, before the process goes
GOING_AWAY = 1001  # RFC 6455, section 7.4.1
PATIENCE = 30.0  # seconds in which a refused client may read why before it is cut off
BEGAN = "transcodio.began"  # when its headers were there, in seconds since 1970
BODY = "transcodio.body"  # the key of the body's file in the ASGI scope


@implementer(IPushProducer)
class Valve:
    """Shut while the client is slow to take what was sent; Twisted turns it."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self.resumeProducing()

    async def passed(self) -> None:
        """Returns when there is room for more, or nobody who could take it."""
        await self._open.wait()

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        """More than some 64 kB wait to be sent."""
        self._open.clear()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """There is room again."""
        self._open.set()

    stopProducing = resumeProducing  # noqa: N815 - the client has gone away


class UploadRequest(WebRequest):  # type: ignore[misc]
    """One request, whose body stays on disk and below the limit."""

    content: Any  # the body, in memory while it is small and else in a temporary file

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Django parses forms, piece by piece; Twisted would do it in memory.
        super().__init__(*args, **kwargs, parsePOSTFormSubmission=False)
        self._received = 0
        self._refused = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """The headers are there: an honest client is refused before it sends the file."""
        super().gotLength(length)
        self.began = time.time()
        if length is not None and length > self._limit():
            self._refuse(413)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """A piece of the body. What comes after a refusal is thrown away."""
        self._received += len(data)
        if not self._refused and self._received > self._limit():
            self._refuse(413)
        if not self._refused:
            self._store(lambda: super(UploadRequest, self).handleContentChunk(data))

    def _store(self, write: Callable[[], object]) -> None:
        """Refuses the body that there is no room for."""
        try:
            write()
        except OSError as error:
            log.error("a body could not be stored: %s", error)
            self._refuse(507)

    def process(self) -> Any:
        """The body is complete."""
        if not self._refused:
            self._store(self.content.flush)
        if self._refused:
            self.channel.loseConnection()
            return None
        if self.requestHeaders.hasHeader(b"Upgrade"):
            self.content = BytesIO()  # a handshake has no body; Daphne would read it into memory
        return super().process()

    def finish(self) -> None:
        """All of the answer is on its way."""
        if self.producer:
            self.unregisterProducer()
        super().finish()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 - Twisted's name
        """The client has gone away: nothing has to wait for it any more."""
        if self.producer:
            self.producer.stopProducing()
        super().connectionLost(reason)

    async def passed(self) -> None:
        """Returns when the client has room for more of the answer."""
        if self.finished or self.channel is None:
            return
        if not self.producer:
            self.registerProducer(Valve(), True)
        await self.producer.passed()

    def take_body(self) -> Any:
        """The file with the body; Daphne, which would queue all of it, is left an empty one."""
        body: Any = self.content
        self.content = BytesIO()
        body.seek(0)
        return body

    def _refuse(self, status: int) -> None:
        # Only our half of the connection is closed, and what still comes is read: a reset would
        # take the answer away from a client that is busy sending.
        self._refused = True
        self.requestHeaders.removeHeader(b"expect")  # or Twisted answers "100 Continue" as well
        self.channel.persistent = False
        transport = self.channel.transport
        path = getattr(self.channel, "_path", b"")  # the request itself learns it with the body
        given = self.requestHeaders.getRawHeaders(b"x-request-id", [b""])[0]
        transport.write(_answer(status, path, valid_request_id(given.decode("latin-1"))))
        if hasattr(transport, "loseWriteConnection"):
            transport.loseWriteConnection()
        reactor.callLater(PATIENCE, self._hang_up)  # type: ignore[arg-type]

    def _hang_up(self) -> None:
        if self.channel is not None:
            self.channel.loseConnection()

    @staticmethod
    def _limit() -> int:
        from django.conf import settings

        return int(settings.MAX_FILE_SIZE_MB) * 1024 * 1024 + FORM_OVERHEAD


def _answer(status: int, path: bytes, request_id: str) -> bytes:
    from transcriptions.api.openai import error_body
    from transcriptions.uploads.service import disk_full, too_large

    refused = too_large() if status == 413 else disk_full()
    ours = {"detail": str(refused), "code": refused.code}
    theirs = error_body(refused.code, str(refused))
    body = json.dumps(theirs if path.startswith(b"/v1/") else ours).encode()
    return (
        b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nX-Request-ID: %s\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%s"
        % (
            refused.status,
            HTTPStatus(refused.status).phrase.encode(),
            request_id.encode(),
            len(body),
            body,
        )
    )


class UploadFactory(HTTPFactory):  # type: ignore[misc]
    """Makes UploadRequests."""

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 - Twisted's name
        """One connection."""
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = UploadRequest
        return protocol


class UploadServer(daphne.server.Server):  # type: ignore[misc]
    """Daphne's server with the factory above."""

    @property
    def http_factory(self) -> UploadFactory:
        """`run()` makes a factory itself; what it makes is replaced here."""
        return self._factory

    @http_factory.setter
    def http_factory(self, made: HTTPFactory) -> None:
        self._factory = UploadFactory(self)

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Hands the body over as a file; `BodyFromDisk` reads it."""
        if scope["type"] == "http":
            scope[BODY] = protocol.take_body()
            scope[BEGAN] = protocol.began
        return super().create_application(protocol, scope)

    def kill_all_applications(self) -> Deferred[None]:
        """Heard before the end."""
        return Deferred.fromFuture(asyncio.ensure_future(self._end()))

    async def _end(self) -> None:
        """What is under way may be finished; to what goes on after that, its client has left."""
        open_ = {
            about["application_instance"]: protocol
            for protocol, about in self.connections.items()
            if "application_instance" in about
        }
        if not open_:
            return
        _, pending = await asyncio.wait(open_, timeout=GRACE)
        for application in pending:
            protocol = open_[application]
            kind = "http" if isinstance(protocol, WebRequest) else "websocket"
            leaves = {"type": f"{kind}.disconnect", "code": GOING_AWAY}
            protocol.application_queue.put_nowait(leaves)
        if pending:
            await asyncio.wait(pending, timeout=GRACE)

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Sends a part of an answer, and waits until there is room for the next one."""
        await super().handle_reply(protocol, message)
        if message.get("more_body"):
            await protocol.passed()


class BodyFromDisk:
    """ASGI middleware: gives the application the body piece by piece, when it asks for one."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Works under any ASGI server: without a file in the scope nothing is changed."""
        body = scope.pop(BODY, None)
        if body is None:
            await self.app(scope, receive, send)
            return
        _tell_length(scope, body)
        complete = False

        async def receive_piece() -> Any:
            nonlocal complete
            if complete:
                return await anext(messages)
            piece = await sync_to_async(body.read, thread_sensitive=False)(PIECE)
            complete = len(piece) < PIECE
            return {"type": "http.request", "body": piece, "more_body": not complete}

        messages = _but_for_the_body(receive)
        try:
            await self.app(scope, receive_piece, send)
        finally:
            body.close()


def _tell_length(scope: dict[str, Any], body: Any) -> None:
    """A body that came in chunks says nothing of its length, and Django would take it as empty."""
    if not any(name == b"content-length" for name, _ in scope["headers"]):
        length = b"%d" % body.seek(0, os.SEEK_END)
        body.seek(0)
        scope["headers"] = [*scope["headers"], (b"content-length", length)]


async def _but_for_the_body(receive: Any) -> AsyncIterator[Any]:
    """What the server has to say otherwise: that the client has gone away."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            yield message


class Command(CommandLineInterface):  # type: ignore[misc]
    """Daphne's command line with our server."""

    server_class = UploadServer

    def run(self, args: list[str]) -> None:
        """Serves until it is told to stop."""
        from django.conf import settings

        # Large bodies become temporary files of Twisted's: they belong on the disk of the data.
        tempfile.tempdir = str(settings.FILE_UPLOAD_TEMP_DIR)
        super().run(args)
        # Python would wait for every thread, and some wait for a transcript in a loop that is over.
        logging.shutdown()
        os._exit(0)


if __name__ == "__main__":
    Command().run([*sys.argv[1:], "--verbosity", "0", "transcodio_site.asgi:application"])
