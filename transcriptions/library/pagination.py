"""Keyset pagination: rows added or deleted between requests cause no gaps or duplicates."""

from __future__ import annotations

import base64
import binascii
import uuid
from datetime import UTC, datetime

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from transcriptions.models import Transcription


class InvalidCursor(ValueError):
    """The cursor was not created by `paginate`; `str()` is a message for the caller."""

    def __init__(self) -> None:
        super().__init__(_("Invalid cursor. Use `next_cursor` of the previous page."))


def paginate(
    rows: QuerySet[Transcription], cursor: str, limit: int
) -> tuple[list[Transcription], str | None]:
    """The first `limit` rows after `cursor`, newest first, and the cursor of the next page.

    Raises InvalidCursor.
    """
    if cursor:
        created_at, transcription_id = _decode_cursor(cursor)
        older = Q(created_at__lt=created_at)
        rows = rows.filter(older | Q(created_at=created_at, id__lt=transcription_id))
    page = list(rows.order_by("-created_at", "-id")[: limit + 1])
    has_next = len(page) > limit
    return page[:limit], _encode_cursor(page[limit - 1]) if has_next else None


def _encode_cursor(row: Transcription) -> str:
    return base64.urlsafe_b64encode(f"{row.created_at.isoformat()} {row.id}".encode()).decode()


def _decode_cursor(cursor: str) -> tuple[datetime, uuid.UUID]:
    try:
        decoded = base64.b64decode(cursor.encode(), b"-_", validate=True).decode()
        timestamp, transcription_id = decoded.split(" ")
        created_at = datetime.fromisoformat(timestamp)
        if created_at.tzinfo is None:
            raise ValueError("no time zone")
        return created_at.astimezone(UTC), uuid.UUID(transcription_id)
    except (ValueError, OverflowError, binascii.Error, UnicodeError):
        raise InvalidCursor from None
