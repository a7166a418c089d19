"""Pages of the library that neither skip nor repeat a row when others come or go meanwhile."""

from __future__ import annotations

import base64
import binascii
import uuid
from datetime import UTC, datetime

from django.db.models import Q, QuerySet

from transcriptions.models import Transcription


class BadCursor(ValueError):
    """Not a cursor of ours; `str()` says what to do."""

    def __init__(self) -> None:
        super().__init__("This cursor is unknown: take `next_cursor` of the page before.")


def page(
    rows: QuerySet[Transcription], cursor: str, limit: int
) -> tuple[list[Transcription], str | None]:
    """The first `limit` rows after `cursor`, newest first, and the cursor of what follows.

    Raises BadCursor.
    """
    if cursor:
        at, id = _position(cursor)
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=id))
    found = list(rows.order_by("-created_at", "-id")[: limit + 1])
    more = len(found) > limit
    return found[:limit], _cursor(found[limit - 1]) if more else None


def _cursor(row: Transcription) -> str:
    return base64.urlsafe_b64encode(f"{row.created_at.isoformat()} {row.id}".encode()).decode()


def _position(cursor: str) -> tuple[datetime, uuid.UUID]:
    try:
        at, id = base64.b64decode(cursor.encode(), b"-_", validate=True).decode().split(" ")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return moment.astimezone(UTC), uuid.UUID(id)
    except (ValueError, OverflowError, binascii.Error, UnicodeError):
        raise BadCursor from None
