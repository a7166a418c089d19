"""Django's ASGI handler for bodies that the server has stored in a file."""

from __future__ import annotations

import ctypes
import os
from contextlib import closing
from typing import Any

from django.core.handlers.asgi import ASGIHandler

BODY = "transcodio.body"  # key of the ASGI scope: the file with the body
FREE_STEP_BYTES = 1 << 20
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2  # linux/falloc.h
_fallocate = getattr(ctypes.CDLL(None), "fallocate64", None)


class FileBodyHandler(ASGIHandler):
    """Reads the body from the file in the scope; Django would copy it to another file.

    Without a file in the scope (another ASGI server) nothing changes.
    """

    async def handle(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Respond to one request."""
        body = scope.pop(BODY, None)
        if body is None:
            await super().handle(scope, receive, send)
            return
        with closing(body):
            _set_content_length(scope, body)
            await super().handle(scope, MessagesAfterBody(body, receive), send)

    async def read_body(self, receive: Any) -> Any:
        """The body as a file, from its start."""
        if isinstance(receive, MessagesAfterBody):
            return ShrinkingReader(receive.body)
        return await super().read_body(receive)


class MessagesAfterBody:
    """The messages that follow the body: that the client has disconnected."""

    def __init__(self, body: Any, receive: Any) -> None:
        self.body = body
        self._receive = receive

    async def __call__(self) -> Any:
        """The next message; the server's empty body is left out."""
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                return message


class ShrinkingReader:
    """Reads a file once, and returns the disk space of what was read to the file system.

    The recording within a body is copied to its own file: in this way both together take up the
    space only once. Where the system cannot do this (not on Linux, some file systems), they take it
    up twice.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._freed = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data: bytes = self._file.read(size)
        position = self._file.tell()
        if position - self._freed >= FREE_STEP_BYTES:
            _free(self._file.fileno(), position)
            self._freed = position
        return data

    def readline(self, size: int = -1) -> bytes:
        """The next line, or at most `size` bytes of it."""
        line: bytes = self._file.readline(size)
        return line

    def close(self) -> None:
        """Delete the file."""
        self._file.close()


def _free(descriptor: int, length: int) -> None:
    """Deallocate the first `length` bytes of a file, which keeps its size. Errors are ignored: the
    space is then freed when the file is closed."""
    if _fallocate:
        mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
        _fallocate(descriptor, mode, ctypes.c_int64(0), ctypes.c_int64(length))


def _set_content_length(scope: dict[str, Any], body: Any) -> None:
    """Add a Content-Length to a chunked body, which Django would treat as empty."""
    if not any(name == b"content-length" for name, _ in scope["headers"]):
        length = b"%d" % body.seek(0, os.SEEK_END)
        scope["headers"] = [*scope["headers"], (b"content-length", length)]
    body.seek(0)
