"""Recordings in a bucket of an S3-compatible object storage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import IO, Any, cast
from urllib.parse import urlsplit

from django.core.files.base import File

from transcriptions.exceptions import StorageUnavailable
from transcriptions.storage.base import RecordingStorage, StoredFile
from transcriptions.storage.s3_client import TRANSFER, Bucket, storage_errors
from transcriptions.storage.s3_multipart import S3MultipartUploads
from transcriptions.storage.s3_reader import S3Reader

# A player keeps using the URL that it was redirected to, even after a long pause.
DOWNLOAD_URL_LIFETIME_S = 3600
# Whatever type the client has stated: neither browsers nor proxies should render the content.
MEDIA_TYPE = "application/octet-stream"


class S3Storage(RecordingStorage):
    """A bucket. The options are those of STORAGE_URL."""

    def __init__(
        self,
        *,
        bucket: str,
        prefix: str = "",
        encryption: str = "",
        kms_key: str = "",
        direct: bool = True,
        **connection: str,
    ) -> None:
        write_options = {"ContentType": MEDIA_TYPE}
        if encryption:
            write_options["ServerSideEncryption"] = encryption
        if kms_key:
            write_options["SSEKMSKeyId"] = kms_key
        self.bucket = Bucket(bucket, prefix, write_options, **connection)
        self.multipart = S3MultipartUploads(self.bucket)
        self.direct = direct

    @cached_property
    def origin(self) -> str:  # type: ignore[override]
        """The scheme, host and port of signed URLs."""
        scheme, host, *_ = urlsplit(self.signed_url("x", MEDIA_TYPE, "attachment"))
        return f"{scheme}://{host}"

    # --- Django's storage -------------------------------------------------------------------

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        reader = S3Reader(self.bucket.client, self.bucket.target(name))
        return File(cast("IO[bytes]", reader), name)

    def _save(self, name: str, content: File[bytes]) -> str:
        """Send the file in parts, which are retried if they fail. Afterwards either the whole file
        is stored, or nothing."""
        target = self.bucket.target(name)
        options: dict[str, Any] = {"ExtraArgs": self.bucket.write_options, "Config": TRANSFER}
        with storage_errors(name):
            if hasattr(content, "temporary_file_path"):
                path = content.temporary_file_path()
                self.bucket.client.upload_file(path, *target.values(), **options)
            else:
                content.seek(0)
                self.bucket.client.upload_fileobj(_Unclosed(content), *target.values(), **options)
        return name

    def delete(self, name: str) -> None:
        """Delete a file. It is not an error if there is none."""
        with storage_errors(name):
            self.bucket.client.delete_object(**self.bucket.target(name))

    def exists(self, name: str) -> bool:
        """Whether there is a file with this name."""
        try:
            self._head(name)
        except FileNotFoundError:
            return False
        return True

    def size(self, name: str) -> int:
        """The size in bytes. Raises FileNotFoundError."""
        return int(self._head(name)["ContentLength"])

    def get_modified_time(self, name: str) -> datetime:
        """When the file was stored. Raises FileNotFoundError."""
        modified_at: datetime = self._head(name)["LastModified"]
        return modified_at

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """The folders (none) and the files in a folder."""
        return [], [file.name.removeprefix(f"{path}/") for file in self.list_files(path)]

    def _head(self, name: str) -> dict[str, Any]:
        with storage_errors(name):
            head: dict[str, Any] = self.bucket.client.head_object(**self.bucket.target(name))
        return head

    # --- Recordings -------------------------------------------------------------------------

    def list_files(self, folder: str) -> Iterator[StoredFile]:
        """See `RecordingStorage`. A page of the list has 1,000 files."""
        target = self.bucket.target(f"{folder}/")
        paginator = self.bucket.client.get_paginator("list_objects_v2")
        with storage_errors(folder):
            for page in paginator.paginate(Bucket=target["Bucket"], Prefix=target["Key"]):
                for entry in page.get("Contents", ()):
                    yield StoredFile(self.bucket.name_of(entry["Key"]), entry["LastModified"])

    def signed_url(self, name: str, media_type: str, disposition: str) -> str:
        """See `RecordingStorage`. The URL is valid for DOWNLOAD_URL_LIFETIME_S."""
        headers = {
            "ResponseContentType": media_type,
            "ResponseContentDisposition": disposition,
            "ResponseCacheControl": "private, no-store",
        }
        with storage_errors(name):
            url = self.bucket.client.generate_presigned_url(
                "get_object",
                Params=self.bucket.target(name) | headers,
                ExpiresIn=DOWNLOAD_URL_LIFETIME_S,
            )
        return str(url)

    def check_access(self) -> None:
        """See `RecordingStorage`. Lists one file, because the response to a HEAD request gives no
        reason."""
        try:
            with storage_errors():
                self.bucket.client.list_objects_v2(
                    Bucket=self.bucket.name, Prefix=self.bucket.prefix, MaxKeys=1
                )
        except FileNotFoundError as error:
            raise StorageUnavailable(str(error)) from None


class _Unclosed:
    """A file that boto3 cannot close: it belongs to the caller."""

    def __init__(self, file: IO[bytes] | File[bytes]) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell

    def close(self) -> None:
        """Do nothing."""
