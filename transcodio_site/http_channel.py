"""The HTTP side of a connection: limits on the request head, and refusals that the client can read.

Plain Twisted waits for a request head for as long as a byte arrives now and then, closes the
connection without a response if a line is too long, and accepts forms of a message that proxies
read differently.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from django.http import JsonResponse
from twisted.web import http

from transcodio_site.middleware import ERROR_MESSAGES
from transcodio_site.response_headers import with_cache_headers, with_security_headers

# The whole head must arrive within this time. Between requests the factory's `timeOut` applies.
HEAD_TIMEOUT_S = 20.0
REFUSAL_TIMEOUT_S = 30.0  # for a refused client to read the response before we disconnect
MAX_LENGTH_DIGITS = 15  # of a Content-Length: petabytes


def response_bytes(status: int, headers: Iterable[tuple[str, str]], content: bytes) -> bytes:
    """A complete response, after which the connection is closed."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers if name.lower() != "content-length"]
    lines += [f"Content-Length: {len(content)}", "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


HTTPChannel: Any = http.HTTPChannel  # Twisted's annotations cover only a part of it


class BoundedChannel(HTTPChannel):  # type: ignore[misc]
    """Twisted's channel with limits on the head, which it may also refuse."""

    _in_head = False
    _refused = False

    def refuse(self, response: bytes) -> None:
        """Send this response, discard whatever still arrives, and disconnect.

        Only our side of the connection is closed first: after a reset a client that is still
        sending could not read the response.
        """
        self._refused = True
        self.persistent = False
        self.setTimeout(None)
        for request in self.requests:
            request.stop_receiving()
        self.transport.write(response)
        if hasattr(self.transport, "loseWriteConnection"):
            self.transport.loseWriteConnection()
        self._networkProducer.resumeProducing()
        self._abortingCall = self.callLater(REFUSAL_TIMEOUT_S, self.forceAbortClient)

    def pause_reading(self) -> None:
        """Read nothing more from the client for now."""
        self._networkProducer.pauseProducing()

    def resume_reading(self) -> None:
        """Continue reading, unless a response is waiting for the client to read it."""
        if not self._waitingForTransport:
            self._networkProducer.resumeProducing()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Bytes have arrived. Within a head they do not postpone its deadline."""
        if self._refused:
            return
        if not self.line_mode:
            super().dataReceived(data)
            return
        if not self._in_head:
            self._in_head = True
            self.setTimeout(HEAD_TIMEOUT_S)
        super(HTTPChannel, self).dataReceived(data)

    def lineReceived(self, line: bytes) -> None:  # noqa: N802 - Twisted's name
        """A line of the head. Continuation lines are obsolete, and proxies disagree on them."""
        if self._refused:
            return
        if self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            self.lineLengthExceeded(line)
        elif line[:1] in (b" ", b"\t"):
            self._respondToBadRequestAndDisconnect()
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802 - Twisted's name
        """The head, or even its first line, is too large."""
        self._refuse_head(431 if self._receivedHeaderSize else 414)

    def headerReceived(self, line: bytes) -> bool:  # noqa: N802 - Twisted's name
        """A header is complete. Return whether it is valid."""
        if self._receivedHeaderCount >= self.maxHeaders:
            self._refuse_head(431)
        return not self._refused and bool(super().headerReceived(line))

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """A part of the body, or of the next request."""
        if not self._refused:
            super().rawDataReceived(data)

    def allHeadersReceived(self) -> None:  # noqa: N802 - Twisted's name
        """The head is complete."""
        self._in_head = False
        self.setTimeout(self.factory.timeOut)
        super().allHeadersReceived()

    def timeoutConnection(self) -> None:  # noqa: N802 - Twisted's name
        """The head took too long, or no request has arrived."""
        if self._in_head:
            self._refuse_head(408)
        else:
            super().timeoutConnection()

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:  # noqa: N802
        """Refuse lengths that Twisted cannot parse, and encodings that it ignores."""
        is_invalid = (header == b"Content-Length" and len(data) > MAX_LENGTH_DIGITS) or (
            header == b"Transfer-Encoding" and data.lower() != b"chunked"
        )
        if is_invalid:
            return bool(self._failChooseTransferDecoder())
        return bool(super()._maybeChooseTransferDecoder(header, data))

    def _respondToBadRequestAndDisconnect(self) -> None:  # noqa: N802 - Twisted's name
        self._refuse_head(400)

    def _refuse_head(self, status: int) -> None:
        if self._refused:
            return
        code, detail = ERROR_MESSAGES[status]
        response = JsonResponse({"detail": str(detail), "code": code})
        headers = with_cache_headers(with_security_headers(response)).items()
        self.refuse(response_bytes(status, headers, response.content))
