"""Parameters of an upload."""

from __future__ import annotations

from ninja import Schema
from pydantic import Field


class UploadParams(Schema):
    """Form fields of an upload, or query parameters if the body is the recording itself."""

    language: str = Field(default="", description="Code such as `en`; empty or `auto` to detect it")
    title: str = Field(default="", max_length=255, description="Default: the name of the file")

    def __or__(self, other: UploadParams) -> UploadParams:
        """The fields of `self`; those that are empty are taken from `other`."""
        return UploadParams(
            language=self.language or other.language, title=self.title or other.title
        )
