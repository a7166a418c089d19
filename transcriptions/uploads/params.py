"""Parameters of an upload."""

from __future__ import annotations

from typing import Literal

from ninja import Schema
from pydantic import Field

from transcriptions.models import Priority

PriorityName = Literal["", "interactive", "batch"]


class UploadParams(Schema):
    """Form fields of an upload, or query parameters if the body is the recording itself."""

    language: str = Field(default="", description="Code such as `en`; empty or `auto` to detect it")
    title: str = Field(default="", max_length=255, description="Default: the name of the file")
    priority: PriorityName = Field(
        default="",
        description="`batch` recordings wait for `interactive` ones, which is the default",
    )

    @property
    def priority_value(self) -> Priority:
        """The priority as it is stored."""
        return Priority[self.priority.upper()] if self.priority else Priority.INTERACTIVE

    def __or__(self, other: UploadParams) -> UploadParams:
        """The fields of `self`; those that are empty are taken from `other`."""
        return UploadParams(
            language=self.language or other.language,
            title=self.title or other.title,
            priority=self.priority or other.priority,
        )
