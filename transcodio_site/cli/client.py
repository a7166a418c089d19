"""The REST API as the command line uses it: uploads that may be repeated, events that resume."""

from __future__ import annotations

import json
import mimetypes
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO

import httpx

PIECE = 256 * 1024
PATIENCE = 30.0  # seconds without a sign of life; the server gives one every 15
UPLOADED = 300.0  # seconds that the server may need to put a large file away
ATTEMPTS = 5
LONGEST_WAIT = 60.0

Answer = dict[str, Any]
Sent = Callable[[int], None]  # is told how many bytes have gone out


class ApiError(Exception):
    """The server said no; `str()` is its own sentence."""

    exit_status = 1


class NotAllowed(ApiError):
    """The token is missing, wrong, or not good for this."""

    exit_status = 3


class Unreachable(ApiError):
    """There is no server, or it does not answer."""

    exit_status = 4


class Client:
    """One server, one token. Safe to be used by several threads."""

    def __init__(self, server: str, token: str) -> None:
        """Raises NotAllowed if that can be no token, and Unreachable if it is no address."""
        if not (token.isascii() and token.isprintable()):
            raise NotAllowed("This is no API token: it has letters that no token has.")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._server = server
        try:
            self._http = httpx.Client(base_url=server, headers=headers, timeout=PATIENCE)
        except httpx.InvalidURL as error:
            raise self._unreachable(error) from None

    def upload(self, path: Path, language: str, sent: Sent) -> Answer:
        """Sends the file and returns the new recording. Raises ApiError, OSError."""
        key = str(uuid.uuid4())  # however often it has to be sent, there will be one recording
        with _opened(path) as file:
            size = file.seek(0, os.SEEK_END)

            def once() -> Answer:
                file.seek(0)
                response = self._send(
                    "POST",
                    "/api/transcriptions",
                    params={"language": language, "title": readable(path.stem)},
                    headers={
                        "Content-Type": _media_type(path),
                        "Content-Length": str(size),
                        "Idempotency-Key": key,
                    },
                    content=_pieces(file, sent),
                    timeout=httpx.Timeout(PATIENCE, read=UPLOADED),
                )
                return self._read(response.content, "id")

            return _patiently(once)

    def events(self, id: str) -> Iterator[Answer]:
        """All events until `complete` or `error`, over as many connections as it takes."""
        seen, failures = -1, 0
        while True:
            try:
                for event in self._stream(id, seen):
                    failures = 0
                    if event is None:
                        continue
                    seen = max(seen, event["id"])
                    yield event
                    if event["type"] in ("complete", "error"):
                        return
            except Unreachable:
                pass
            failures += 1
            if failures == ATTEMPTS:
                raise Unreachable(f"The connection to {self._server} was lost, again and again.")
            time.sleep(min(2.0**failures, LONGEST_WAIT))

    def library(self, limit: int, **filters: str) -> Iterator[Answer]:
        """Recordings, newest first, at most `limit`. Raises ApiError."""
        cursor: str | None = ""
        while cursor is not None and limit > 0:
            wanted = {name: value for name, value in filters.items() if value}
            page = {"limit": str(min(limit, 100)), "cursor": cursor}
            response = self._send("GET", "/api/transcriptions", params=wanted | page)
            answer = self._read(response.content, "items", "next_cursor")
            yield from answer["items"]
            limit -= len(answer["items"])
            cursor = answer["next_cursor"]

    def export(self, id: str, form: str) -> bytes:
        """The transcript as a file. Raises ApiError."""
        path = f"/api/transcriptions/{id}/export"
        return self._send("GET", path, params={"format": form}).content

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from None
        self._check(response)
        return response

    def _stream(self, id: str, seen: int) -> Iterator[Answer | None]:
        """Events after `seen`, and None for a sign of life."""
        headers = {} if seen < 0 else {"Last-Event-ID": str(seen)}
        try:
            with self._http.stream(
                "GET", f"/api/transcriptions/{id}/events", headers=headers
            ) as response:
                if response.status_code != 200:
                    response.read()
                self._check(response)
                if not _is_of_type(response, "text/event-stream"):
                    raise self._strange()  # its lines would count as signs of life for ever
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        yield self._read(line.removeprefix("data: "), "id", "type")
                    else:
                        yield None
        except httpx.RequestError as error:
            raise self._unreachable(error) from None

    def _read(self, text: str | bytes, *names: str) -> Answer:
        """An object of JSON that has all of `names`. Raises ApiError."""
        with suppress(ValueError):
            answer = json.loads(text)
            if isinstance(answer, dict) and answer.keys() >= {*names}:
                return answer
        raise self._strange()

    def _check(self, response: httpx.Response) -> None:
        if response.is_success:
            if _is_of_type(response, "text/html"):
                raise self._strange()  # the page of a network that wants a sign-in first
            return
        if response.status_code in (401, 403):
            raise NotAllowed(_sentence(response))
        wait = _wait(response.headers.get("Retry-After", ""))
        if response.status_code in (429, 502, 503, 504) and wait <= LONGEST_WAIT:
            raise Busy(_sentence(response), wait)
        raise ApiError(_sentence(response))

    def _strange(self) -> ApiError:
        return ApiError(f"{self._server} does not answer as Transcodio does.")

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(f"{self._server} does not answer: {error or type(error).__name__}")


class Busy(Unreachable):
    """Not now: there will be room in `wait` seconds."""

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.wait = wait


def _patiently(once: Callable[[], Answer]) -> Answer:
    """Tries again when nobody answers, or when it is too much at once."""
    for attempt in range(1, ATTEMPTS):
        try:
            return once()
        except Busy as error:
            time.sleep(error.wait)
        except Unreachable:
            time.sleep(attempt)
    return once()


def _pieces(file: BinaryIO, sent: Sent) -> Iterator[bytes]:
    sent(0)
    while piece := file.read(PIECE):
        yield piece
        sent(file.tell())


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file, to be read as often as need be: what comes through a pipe is kept for that."""
    with path.open("rb") as file:
        if file.seekable():
            yield file
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(file, copy)
            yield copy


def readable(name: str) -> str:
    """The name of a file, as far as it is text."""
    return os.fsencode(name).decode(errors="replace")


def _wait(retry_after: str) -> float:
    """Seconds; the header may also name a moment (RFC 9110, 10.2.3)."""
    try:
        return max(0.0, float(retry_after or 2))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 2.0


def _is_of_type(response: httpx.Response, media_type: str) -> bool:
    given: str = response.headers.get("Content-Type", "")
    return given.partition(";")[0].strip().lower() == media_type


def _media_type(path: Path) -> str:
    guess = mimetypes.guess_type(path.name)[0] or ""
    return guess if guess.startswith(("audio/", "video/")) else "application/octet-stream"


def _sentence(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The server answered {response.status_code} {response.reason_phrase}."
