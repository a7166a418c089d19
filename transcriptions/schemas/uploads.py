"""Direct uploads as JSON."""

from __future__ import annotations

import uuid
from datetime import datetime

from ninja import Schema
from pydantic import Field

from transcriptions.models import DirectUpload


class DirectUploadOut(Schema):
    """An upload in parts. All parts have `part_bytes`, except for the last one."""

    id: uuid.UUID
    parts: int
    part_bytes: int
    expires_at: datetime = Field(description="Each request for a part extends this time")

    @classmethod
    def of(cls, upload: DirectUpload) -> DirectUploadOut:
        """Create from a row."""
        return cls(
            id=upload.id,
            parts=upload.part_count,
            part_bytes=upload.part_bytes,
            expires_at=upload.expires_at,
        )


class PartOut(Schema):
    """Where to send a part: PUT with exactly these bytes as the body, and without a token."""

    url: str = Field(description="Valid for 15 minutes")
    start: int = Field(description="Position of the first byte of the part in the file")
    bytes: int
