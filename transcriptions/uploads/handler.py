"""Writes uploads straight to disk, to files whose names do not depend on the client."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler, TemporaryFileUploadHandler


class UploadHandler(TemporaryFileUploadHandler):
    """Django's handler ends the temporary name with the extension that the client sends, and fails
    if that is longer than the file system allows."""

    def new_file(self, *args: Any, **options: Any) -> None:
        """Called at the start of each file of a form."""
        FileUploadHandler.new_file(self, *args, **options)
        self.file = TemporaryUploadedFile(
            "upload", self.content_type, 0, self.charset, self.content_type_extra
        )
        self.file.name = self.file_name
