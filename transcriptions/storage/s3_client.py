"""The client of an S3-compatible object storage, and its errors.

Importing boto3 takes a fifth of a second, and creating a client as long. So only installations with
STORAGE_URL=s3://... import this module, and a process creates one client, which threads may share.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from transcriptions.exceptions import StorageUnavailable

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0  # without a byte
ATTEMPTS = 4  # of each request, with growing delays of a few seconds between them
CONNECTIONS = 50  # kept open: one process serves this many downloads at a time
PART_BYTES = 16 << 20
# Parts that are sent at the same time. They are read from disk, and so need hardly any memory.
PARALLEL_PARTS = 4

NO_SUCH_FILE = {"NoSuchKey", "NoSuchUpload"}
STORAGE_FULL = {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"}

_session = cache(boto3.session.Session)
_session_lock = threading.Lock()
TRANSFER = TransferConfig(
    multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=PARALLEL_PARTS
)


class Bucket:
    """A bucket, or the part of it below `prefix`.

    Objects are private: no access-control list is sent, which modern buckets refuse anyway.
    """

    def __init__(
        self, name: str, prefix: str, write_options: dict[str, str], **connection: str
    ) -> None:
        """`write_options`: parameters of every object that is created. `connection`: see
        `make_client`."""
        self.name, self.prefix = name, f"{prefix}/" if prefix else ""
        self.write_options = write_options
        self._connection = connection
        self._lock = threading.Lock()
        self._client: Any = None

    @property
    def client(self) -> Any:
        """The client, which is created when it is first needed. Raises StorageUnavailable."""
        with self._lock:
            if self._client is None:
                with storage_errors():
                    self._client = make_client(**self._connection)
            return self._client

    def target(self, name: str) -> dict[str, Any]:
        """The parameters that name a file in requests."""
        return {"Bucket": self.name, "Key": f"{self.prefix}{name}"}

    def name_of(self, key: str) -> str:
        """The name of the file with that key."""
        return key.removeprefix(self.prefix)


def make_client(
    *, endpoint: str = "", region: str = "", access_key: str = "", secret_key: str = ""
) -> Any:
    """A client. Without keys it finds them where AWS's own tools do: environment, files, role."""
    for name in ("boto3", "botocore", "s3transfer"):  # their debug messages have signed headers
        logging.getLogger(name).setLevel(logging.INFO)
    config = Config(
        signature_version="s3v4",
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=CONNECTIONS,
        # Other servers have no subdomain for each bucket, and some refuse AWS's new checksums.
        s3={"addressing_style": "path" if endpoint else "virtual"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    with _session_lock:  # creating clients is not thread-safe, but using them is
        return _session().client(
            "s3",
            endpoint_url=endpoint or None,
            region_name=region or None,
            aws_access_key_id=access_key or None,
            aws_secret_access_key=secret_key or None,
            config=config,
        )


@contextmanager
def storage_errors(name: str = "") -> Iterator[None]:
    """Raise errors like those of a disk: FileNotFoundError, OSError (full), StorageUnavailable."""
    try:
        yield
    except ClientError as error:
        raise _os_error(error, name) from None
    except (BotoCoreError, Boto3Error, HTTPError) as error:
        raise StorageUnavailable(f"{type(error).__name__}: {error}") from None


def _os_error(error: ClientError, name: str) -> OSError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in NO_SUCH_FILE or (status == 404 and code != "NoSuchBucket"):
        return FileNotFoundError(errno.ENOENT, "There is no such file in the storage", name)
    if code in STORAGE_FULL or status == 507:
        return OSError(errno.ENOSPC, f"The storage is full: {code}", name)
    return StorageUnavailable(str(error))
