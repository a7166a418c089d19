"""Uploads go straight to disk, into files whose names owe nothing to the client."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler, TemporaryFileUploadHandler


class UploadHandler(TemporaryFileUploadHandler):
    """As Django's own, which takes over what follows the last dot of a name: three hundred letters
    there are more than any disk allows."""

    def new_file(self, *args: Any, **options: Any) -> None:
        """A file of a form begins."""
        FileUploadHandler.new_file(self, *args, **options)
        self.file = TemporaryUploadedFile(
            "upload", self.content_type, 0, self.charset, self.content_type_extra
        )
        self.file.name = self.file_name
