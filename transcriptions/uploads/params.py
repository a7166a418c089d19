"""Parameters of an upload."""

from __future__ import annotations

from typing import Annotated, Literal

from ninja import Schema
from pydantic import Field

from accounts.schemas import Body
from transcriptions.models import Priority

PriorityName = Literal["", "interactive", "batch"]
MAX_BYTES = 2**53  # larger numbers are not exact in JavaScript


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


class DirectUploadIn(Body):
    """The recording that will be sent to the storage: its size in bytes, its name, and the
    parameters of every upload."""

    model_config = Body.example(size=20_000_000, name="talk.mp3", language="en", title="A walk")

    size: Annotated[int, Field(ge=0, le=MAX_BYTES)]
    name: Annotated[str, Field(max_length=1000, description="Name of the file")] = ""
    language: Annotated[str, Field(max_length=100, description="As in other uploads")] = ""
    title: Annotated[str, Field(max_length=255, description="Default: the name of the file")] = ""
    priority: PriorityName = ""

    @property
    def params(self) -> UploadParams:
        """The parameters of every upload."""
        return UploadParams(language=self.language, title=self.title, priority=self.priority)
