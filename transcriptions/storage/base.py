"""What recordings need from a storage beyond Django's `Storage`: the interface of both backends."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from django.core.files.storage import Storage, default_storage


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file, by its name in the storage."""

    name: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart upload that the storage has received."""

    number: int  # from 1
    bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that was neither completed nor aborted."""

    name: str
    upload_id: str
    started_at: datetime


class MultipartUploads(Protocol):
    """Multipart uploads of a storage. All methods raise StorageUnavailable."""

    def start(self, name: str) -> str:
        """Begin the upload of a file. Return the storage's id for it."""

    def part_url(self, name: str, upload_id: str, number: int, length: int) -> str:
        """A signed URL to which exactly `length` bytes can be sent with PUT."""

    def parts(self, name: str, upload_id: str) -> list[Part]:
        """The parts that have arrived. Raises FileNotFoundError if there is no such upload."""

    def complete(self, name: str, upload_id: str, parts: list[Part]) -> None:
        """Create the file from its parts. Raises FileNotFoundError if there is no such upload."""

    def abort(self, name: str, upload_id: str) -> None:
        """Delete the parts. It is not an error if there is no such upload."""

    def unfinished(self, folder: str) -> Iterator[UnfinishedUpload]:
        """All unfinished uploads of files in `folder`, including those that `Storage.save`
        began."""


class RecordingStorage(Storage):
    """A storage of recordings. Only a remote one has `multipart`.

    `direct`: clients send and fetch files themselves, with signed URLs of `origin`.
    """

    direct = False
    origin = ""
    multipart: MultipartUploads | None = None

    @abstractmethod
    def list_files(self, folder: str) -> Iterator[StoredFile]:
        """All files in `folder`; none if it does not exist."""

    def signed_url(self, name: str, media_type: str, disposition: str) -> str:
        """A URL from which anyone can download the file for a while, with these headers."""
        raise NotImplementedError

    def check_access(self) -> None:
        """Raises StorageUnavailable, with the reason, if the storage cannot be used."""


def recording_storage() -> RecordingStorage:
    """The storage that STORAGE_URL selects."""
    return cast("RecordingStorage", default_storage)
