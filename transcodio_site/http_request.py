"""One request and its body: checked with the headers, stored on disk, bounded in size and time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.parse import unquote

import daphne.server  # noqa: F401 - first: it installs the reactor that Twisted must use
from daphne.http_protocol import HTTPFactory, WebRequest
from django.conf import settings
from django.http import HttpResponse
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from accounts.rate_limits import COUNTED, Throttled
from transcodio_site.admission import (
    Admission,
    check_upload,
    count_body,
    error_response,
)
from transcodio_site.asgi_handler import BODY
from transcodio_site.http_channel import BoundedChannel, response_bytes
from transcriptions.uploads.service import (
    TooManyUploads,
    UploadRefused,
    disk_full,
    too_large,
    too_slow,
)

log = logging.getLogger(__name__)

STARTED_AT = "transcodio.started_at"  # in the ASGI scope: when the headers arrived, as Unix time
MEMORY_BYTES = 100_000  # of a body; the rest is on disk
# A body that arrives more slowly than this, on average over one window, is refused.
MIN_BYTES_PER_S = 1024
SPEED_WINDOW_S = 30.0


@implementer(IPushProducer)
class FlowControl:
    """Makes writers wait while the client is slow to read. Twisted pauses and resumes it."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self.resumeProducing()

    async def wait_until_writable(self) -> None:
        """Return when more can be sent, or the client has disconnected."""
        await self._open.wait()

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Pause: about 64 kB are waiting to be sent."""
        self._open.clear()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """More can be sent."""
        self._open.set()

    stopProducing = resumeProducing  # noqa: N815 - the client has disconnected


_NAME = rb"[\w!#$&'*+.^`|~-]+"  # without the percent sign, which Daphne would treat as an escape
SUBPROTOCOLS = re.compile(rb"%s(?: *, *%s)*" % (_NAME, _NAME))


class UploadRequest(WebRequest):  # type: ignore[misc]
    """One request. A large body arrives only after its headers have been checked; then it goes to
    disk."""

    channel: BoundedChannel
    content: Any  # the body, in memory while it is small and else in a temporary file

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Django parses forms in chunks; Twisted would do it in memory.
        super().__init__(*args, **kwargs, parsePOSTFormSubmission=False)
        self._rate_limit: Any = None  # see accounts.rate_limits.COUNTED
        self._received = self._received_before = 0
        self._max_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        self._admission: Admission | None = None
        self._end_of_upload: Callable[[], None] | None = None
        self._check: asyncio.Task[None] | None = None
        self._speed_check: Any = None
        self._is_complete = self._is_refused = self._expects_continue = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """Called with the headers. `length` is None for a chunked body."""
        self.started_at = time.time()
        self._command, self._target = self.channel._command, self.channel._path
        self.content = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115
        if length != 0:
            self._schedule_speed_check()
        if length is not None and length > self._max_bytes:
            expect = self.requestHeaders.getRawHeaders(b"expect", [b""])[0]
            self._expects_continue = expect.lower() == b"100-continue"
            self.requestHeaders.removeHeader(b"expect")  # or Twisted sends "100 Continue" now
            self._start_check(length)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Store a chunk of the body."""
        if self._is_refused:
            return
        self._received += len(data)
        if self._received > MEMORY_BYTES and not self._end_of_upload and not self._check:
            self._count_body()
        self._store(lambda: self.content.write(data))
        if self._is_refused:
            return
        if self._check:
            self.channel.pause_reading()  # Twisted may have resumed it
        elif self._received > self._max_bytes and self._admission:
            self._refuse_body(too_large(self._admission.max_megabytes))
        elif self._received > self._max_bytes:
            self._start_check(self._received)

    def process(self) -> Any:
        """Called when the body is complete."""
        self._is_complete = True
        if self._check:
            return None  # called again after it
        if not self._is_refused:
            self._store(self.content.flush)
        if self._is_refused:
            return None
        self._end_of_body()
        self.requestHeaders.removeHeader(b"daphne-root-path")  # no proxy of ours sets it
        offered = self.requestHeaders.getRawHeaders(b"sec-websocket-protocol", [])
        if len(offered) > 1 or not all(map(SUBPROTOCOLS.fullmatch, offered)):
            # Daphne fails to read it. Without it the client knows that none was accepted.
            self.requestHeaders.removeHeader(b"sec-websocket-protocol")
        if self.requestHeaders.hasHeader(b"Upgrade"):
            self.content = BytesIO()  # a handshake has no body
        return super().process()

    def handle_exception(self, exception: Exception) -> None:
        """Called when the application has failed. A response that has begun is cut off, so that no
        client mistakes it for a complete one."""
        if not self._response_started:
            super().handle_exception(exception)
        elif self.channel is not None:
            self.channel.loseConnection()

    def finish(self) -> None:
        """Called when the whole response was sent."""
        if self.producer:
            self.unregisterProducer()
        super().finish()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 - Twisted's name
        """The client has disconnected: stop waiting for it."""
        self._end_of_body()
        if self.producer:
            self.producer.stopProducing()
        super().connectionLost(reason)

    def stop_receiving(self) -> None:
        """Called when the request is refused: delete what has arrived."""
        self._is_refused = True
        self._end_of_body()
        if self.content is not None:
            # Closing writes what is buffered, which fails again on a full disk.
            with contextlib.suppress(OSError):
                self.content.close()
            self.content = BytesIO()

    async def wait_until_writable(self) -> None:
        """Return when the client can receive more of the response."""
        if self.finished or self.channel is None:
            return
        if not self.producer:
            self.registerProducer(FlowControl(), True)
        await self.producer.wait_until_writable()

    def scope_extension(self) -> dict[str, Any]:
        """What the application gets in addition to the ASGI scope. Daphne does not get the body,
        which it would queue as a whole."""
        body, self.content = self.content, BytesIO()
        return {BODY: body, STARTED_AT: self.started_at, COUNTED: self._rate_limit}

    def _count_body(self) -> None:
        """Refuse the body if too many from this address are on disk."""
        try:
            self._end_of_upload = count_body(self._scope(self._received))
        except TooManyUploads as error:
            self._refuse_body(error)

    def _store(self, write: Callable[[], object]) -> None:
        """Refuse the body if the disk is full."""
        try:
            write()
        except OSError as error:
            log.error("request body could not be stored: %s", error)
            self._refuse_body(disk_full())

    def _start_check(self, length: int) -> None:
        self.channel.pause_reading()
        self._uncount_body()  # the check counts it, and for the user too
        self._check = asyncio.ensure_future(self._check_headers(length))

    async def _check_headers(self, length: int) -> None:
        scope = self._scope(length)
        try:
            outcome = await asyncio.to_thread(check_upload, scope, length)
        except Exception:
            log.exception("the headers of an upload could not be checked")
            outcome = HttpResponse(status=500)
        self._check = None
        self._rate_limit = scope.get(COUNTED)
        if isinstance(outcome, Admission):
            self._admit(outcome)
        elif not self._is_gone():
            self._refuse(outcome)

    def _admit(self, admission: Admission) -> None:
        self._end_of_upload = admission.release
        if self._is_gone():
            self._uncount_body()
            return
        self._admission, self._max_bytes = admission, admission.max_bytes
        if self._expects_continue:
            self.channel._send100Continue()
        self.channel.resume_reading()
        if self._is_complete:
            self.process()

    def _scope(self, length: int) -> dict[str, Any]:
        """The scope of the application, as far as the headers determine it."""
        path, _, query = self._target.partition(b"?")
        headers = [
            (name.lower(), value)
            for name, values in self.requestHeaders.getAllRawHeaders()
            for value in values
            if b"_" not in name and name.lower() != b"content-length"
        ]
        client = getattr(self.client, "host", None)
        return {
            "type": "http",
            "method": self._command.decode("latin-1"),
            "path": unquote(path.decode("latin-1")),
            "query_string": query.decode("ascii", "replace").encode(),
            "headers": [*headers, (b"content-length", b"%d" % length)],
            "client": client and [client, self.client.port],
            "server": client and [self.host.host, self.host.port],
        }

    def _schedule_speed_check(self) -> None:
        self._speed_check = self.channel.callLater(SPEED_WINDOW_S, self._check_speed)

    def _check_speed(self) -> None:
        received = self._received - self._received_before
        self._received_before = self._received
        self._schedule_speed_check()
        if received < SPEED_WINDOW_S * MIN_BYTES_PER_S and not self._check:
            self._refuse_body(too_slow())

    def _refuse_body(self, error: UploadRefused | Throttled) -> None:
        self._refuse(error_response(self._scope(self._received), error))

    def _refuse(self, response: HttpResponse) -> None:
        cookies = [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
        headers = [*response.items(), *cookies]
        self.channel.refuse(response_bytes(response.status_code, headers, response.content))

    def _is_gone(self) -> bool:
        return self.channel is None or self._is_refused

    def _end_of_body(self) -> None:
        """The body has arrived or will not arrive."""
        if self._speed_check and self._speed_check.active():
            self._speed_check.cancel()
        self._uncount_body()

    def _uncount_body(self) -> None:
        if self._end_of_upload:
            self._end_of_upload()
            self._end_of_upload = None


class UploadFactory(HTTPFactory):  # type: ignore[misc]
    """Creates channels with UploadRequests."""

    protocol = BoundedChannel

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 - Twisted's name
        """Create the protocol of a connection."""
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = UploadRequest
        return protocol
