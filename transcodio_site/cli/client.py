"""A client of the REST API: uploads are retried safely, event streams resume."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx

from transcodio_site.cli.media_types import media_type

CHUNK_BYTES = 256 * 1024
READ_TIMEOUT_S = 30.0  # without any byte; the server sends a comment every 15 s
UPLOAD_RESPONSE_TIMEOUT_S = 300.0  # the server may need that long to store a large file
MAX_ATTEMPTS = 5
MAX_WAIT_S = 60.0

T = TypeVar("T")
JsonObject = dict[str, Any]
OnProgress = Callable[[int], None]  # called with the number of bytes sent


class ApiError(Exception):
    """The server refused; `str()` is its message."""

    exit_status = 1


class NotAuthorized(ApiError):
    """The token is missing, invalid, or lacks the permission."""

    exit_status = 3


class Unreachable(ApiError):
    """There is no server at this address, or it does not respond."""

    exit_status = 4


class Client:
    """One server and one token. Thread-safe."""

    def __init__(self, server: str, token: str) -> None:
        """Raises NotAuthorized if the token has invalid characters, and Unreachable if the URL is
        invalid."""
        if not (token.isascii() and token.isprintable()):
            raise NotAuthorized("This is not an API token: it contains invalid characters.")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._server = server
        try:
            self._http = httpx.Client(base_url=server, headers=headers, timeout=READ_TIMEOUT_S)
        except httpx.InvalidURL as error:
            raise self._unreachable(error) from None

    def upload(self, path: Path, parameters: dict[str, str], on_progress: OnProgress) -> JsonObject:
        """Send the file and return the new recording. `parameters` are those of the API; empty ones
        are left out. Raises ApiError, OSError."""
        given = {name: value for name, value in parameters.items() if value}
        key = str(uuid.uuid4())  # retries with the same key create one recording
        with _open_seekable(path) as file:
            size = file.seek(0, os.SEEK_END)

            def attempt() -> JsonObject:
                file.seek(0)
                response = self._send(
                    "POST",
                    "/api/transcriptions",
                    params={"title": readable(path.stem)} | given,
                    headers={
                        "Content-Type": media_type(path),
                        "Content-Length": str(size),
                        "Idempotency-Key": key,
                    },
                    content=_chunks(file, on_progress),
                    timeout=httpx.Timeout(READ_TIMEOUT_S, read=UPLOAD_RESPONSE_TIMEOUT_S),
                )
                return self._read(response.content, "id")

            return _with_retries(attempt)

    def events(self, transcription_id: str, after: int = -1) -> Iterator[JsonObject]:
        """All events with ids above `after` until `complete` or `error`; reconnects as often as
        needed."""
        last_id, failures = after, 0
        while True:
            try:
                for event in self._stream(transcription_id, last_id):
                    failures = 0
                    if event is None:
                        continue
                    last_id = max(last_id, event["id"])
                    yield event
                    if event["type"] in ("complete", "error"):
                        return
            except Unreachable:
                pass
            failures += 1
            if failures == MAX_ATTEMPTS:
                raise Unreachable(f"The connection to {self._server} was lost repeatedly.")
            time.sleep(min(2.0**failures, MAX_WAIT_S))

    def library(self, limit: int, **filters: str) -> Iterator[JsonObject]:
        """Recordings, newest first, at most `limit`. Raises ApiError."""
        cursor: str | None = ""
        while cursor is not None and limit > 0:
            query = {name: value for name, value in filters.items() if value}
            page = {"limit": str(min(limit, 100)), "cursor": cursor}
            response = self._send("GET", "/api/transcriptions", params=query | page)
            body = self._read(response.content, "items", "next_cursor")
            yield from body["items"]
            limit -= len(body["items"])
            cursor = body["next_cursor"]

    def export(self, transcription_id: str, query: dict[str, str]) -> bytes:
        """The transcript as a file, with the parameters of the API. Raises ApiError."""
        path = f"/api/transcriptions/{transcription_id}/export"
        return _with_retries(lambda: self._send("GET", path, params=query)).content

    def import_text(self, transcription_id: str, path: Path, *, force: bool) -> JsonObject:
        """Replace the text of a transcript with that of a file, and return how many words are new.
        Repeating it changes nothing. Raises ApiError, OSError."""
        files = {"file": (readable(path.name), path.read_bytes())}

        def attempt() -> JsonObject:
            response = self._send(
                "POST",
                f"/api/transcriptions/{transcription_id}/import",
                params={"force": force},
                files=files,
                timeout=httpx.Timeout(READ_TIMEOUT_S, read=UPLOAD_RESPONSE_TIMEOUT_S),
            )
            imported: JsonObject = self._read(response.content, "imported")["imported"]
            return imported

        return _with_retries(attempt)

    def detect_speakers(self, transcription_id: str, count: int | None) -> list[JsonObject]:
        """Detect the speakers of a completed recording, `count` of them if that is known, and
        return them. Raises ApiError."""
        path = f"/api/transcriptions/{transcription_id}"
        body = {"speakers": count} if count else {}

        def attempt() -> JsonObject:
            response = self._send("POST", f"{path}/speakers/detect", json=body)
            return self._read(response.content, "state")

        _with_retries(attempt)
        for _event in self.events(transcription_id):
            pass  # the last one comes when the speakers are stored
        response = _with_retries(lambda: self._send("GET", path))
        transcript = self._read(response.content, "speakers", "speaker_detection")
        if transcript["speaker_detection"]:
            raise ApiError(transcript["speaker_detection"]["error"])
        speakers: list[JsonObject] = transcript["speakers"]
        return speakers

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from None
        self._check(response)
        return response

    def _stream(self, transcription_id: str, last_id: int) -> Iterator[JsonObject | None]:
        """Events after `last_id`; None for every other line."""
        headers = {} if last_id < 0 else {"Last-Event-ID": str(last_id)}
        try:
            with self._http.stream(
                "GET", f"/api/transcriptions/{transcription_id}/events", headers=headers
            ) as response:
                if response.status_code != 200:
                    response.read()
                self._check(response)
                if not _is_of_type(response, "text/event-stream"):
                    raise self._not_transcodio()  # not an event stream
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        yield self._read(line.removeprefix("data: "), "id", "type")
                    else:
                        yield None
        except httpx.RequestError as error:
            raise self._unreachable(error) from None

    def _read(self, text: str | bytes, *names: str) -> JsonObject:
        """A JSON object that has all of `names`. Raises ApiError."""
        with suppress(ValueError):
            body = json.loads(text)
            if isinstance(body, dict) and body.keys() >= {*names}:
                return body
        raise self._not_transcodio()

    def _check(self, response: httpx.Response) -> None:
        if response.is_success:
            if _is_of_type(response, "text/html"):
                raise self._not_transcodio()  # a captive portal's page
            return
        if response.status_code in (401, 403):
            raise NotAuthorized(error_message(response))
        wait = _retry_after_s(response.headers.get("Retry-After", ""))
        if response.status_code in (429, 502, 503, 504) and wait <= MAX_WAIT_S:
            raise Busy(error_message(response), wait)
        raise ApiError(error_message(response))

    def _not_transcodio(self) -> ApiError:
        return ApiError(f"{self._server} did not respond like a Transcodio server.")

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(f"{self._server} does not respond: {error or type(error).__name__}")


class Busy(Unreachable):
    """The server is busy: retry in `wait` seconds."""

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.wait = wait


def _with_retries(attempt: Callable[[], T]) -> T:
    """Retry while the server is unreachable or busy."""
    for number in range(1, MAX_ATTEMPTS):
        try:
            return attempt()
        except Busy as error:
            time.sleep(error.wait)
        except Unreachable:
            time.sleep(number)
    return attempt()


def _chunks(file: BinaryIO, on_progress: OnProgress) -> Iterator[bytes]:
    on_progress(0)
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
        on_progress(file.tell())


@contextmanager
def _open_seekable(path: Path) -> Iterator[BinaryIO]:
    """The file; a pipe is copied to a temporary file, so that it can be read again."""
    with path.open("rb") as file:
        if file.seekable():
            yield file
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(file, copy)
            yield copy


def readable(name: str) -> str:
    """A file name as text; bytes that are not text are replaced."""
    return os.fsencode(name).decode(errors="replace")


def _retry_after_s(retry_after: str) -> float:
    """Seconds; the header may also be a date (RFC 9110, section 10.2.3)."""
    try:
        return max(0.0, float(retry_after or 2))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 2.0


def _is_of_type(response: httpx.Response, expected: str) -> bool:
    content_type: str = response.headers.get("Content-Type", "")
    return content_type.partition(";")[0].strip().lower() == expected


def error_message(response: httpx.Response) -> str:
    """What a response that has been read says about the error."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The server responded with {response.status_code} {response.reason_phrase}."
