"""Recordings in a directory."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.files.storage import FileSystemStorage

from transcriptions.storage.base import RecordingStorage, StoredFile


class LocalStorage(RecordingStorage, FileSystemStorage):
    """Django's storage in MEDIA_ROOT."""

    def list_files(self, folder: str) -> Iterator[StoredFile]:
        """See `RecordingStorage`."""
        try:
            _, names = self.listdir(folder)
        except FileNotFoundError:
            return
        for name in names:
            path = f"{folder}/{name}"
            try:
                modified_at = self.get_modified_time(path)
            except FileNotFoundError:  # deleted meanwhile
                continue
            yield StoredFile(path, modified_at)
