"""An upload handler that writes to files whose names do not depend on the client."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler, TemporaryFileUploadHandler


class UploadHandler(TemporaryFileUploadHandler):
    """Writes every upload to a temporary file. Django's handler appends the client's extension to
    its name, and fails if that is too long for the file system."""

    def new_file(self, *args: Any, **options: Any) -> None:
        """Called at the start of each file of a form."""
        FileUploadHandler.new_file(self, *args, **options)
        self.file = TemporaryUploadedFile(
            "upload", self.content_type, 0, self.charset, self.content_type_extra
        )
        self.file.name = self.file_name
