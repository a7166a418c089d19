"""Reading of one object as a file: in order, or from any position, in constant memory."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from transcriptions.exceptions import StorageUnavailable
from transcriptions.storage.s3_client import storage_errors

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

log = logging.getLogger(__name__)

ATTEMPTS = 3  # in a row without progress to continue a download after a lost connection


class S3Reader(io.RawIOBase):
    """The content of an object. A download starts at the first read, and after each seek.

    Raises FileNotFoundError, StorageUnavailable.
    """

    def __init__(self, client: Any, target: dict[str, Any]) -> None:
        """`target`: the parameters that name the object in requests."""
        super().__init__()
        self._client, self._target = client, target
        with storage_errors(target["Key"]):
            head = client.head_object(**target)
        self._size, self._etag = int(head["ContentLength"]), str(head["ETag"])
        self._position = 0
        self._body: Any = None

    def readable(self) -> bool:
        """Always True."""
        return True

    def seekable(self) -> bool:
        """Always True."""
        return True

    def tell(self) -> int:
        """The position of the next byte that is read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position of the next read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset != self._position:
            self._stop()
            self._position = start + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read the next bytes; 0 at the end."""
        view = memoryview(buffer).cast("B")
        if not len(view) or self._position >= self._size:
            return 0
        data = self._read(len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Stop the download."""
        self._stop()
        super().close()

    def _read(self, size: int) -> bytes:
        reason = "the object ended early"
        for _ in range(ATTEMPTS):
            try:
                if data := self._download().read(min(size, self._size - self._position)):
                    return bytes(data)
            except (BotoCoreError, HTTPError, ConnectionError, TimeoutError) as error:
                reason = f"{type(error).__name__}: {error}"
            log.warning("%s: the download is continued: %s", self._target["Key"], reason)
            self._stop()
        raise StorageUnavailable(reason)

    def _download(self) -> Any:
        """The response with the content from the position on."""
        if self._body is None:
            with storage_errors(self._target["Key"]):
                response = self._client.get_object(
                    **self._target, Range=f"bytes={self._position}-", IfMatch=self._etag
                )
            self._body = response["Body"]
        return self._body

    def _stop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
