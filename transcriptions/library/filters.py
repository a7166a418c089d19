"""Query parameters that filter the library."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from ninja import Schema
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from transcriptions.models import State, Transcription
from transcriptions.schemas.fields import LanguageCode

NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f]*$"


def _require_iso_format(value: object) -> object:
    """Reject bare numbers, which pydantic reads as seconds since 1970. A date means midnight UTC.

    Raises ValueError.
    """
    text = str(value)
    if (isinstance(value, str) and not text[:4].isdigit()) or "-" not in text:
        raise ValueError(_("use a date or a time such as 2026-05-04T09:30:00Z"))
    return f"{text}T00:00:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else value


def _to_utc(value: datetime) -> datetime:
    """Convert to UTC, because PostgreSQL accepts fewer offsets than Python. Raises ValueError."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(_("the time is out of range")) from None


Timestamp = Annotated[AwareDatetime, BeforeValidator(_require_iso_format), AfterValidator(_to_utc)]


class LibraryFilter(Schema):
    """Filters of the library, combined with AND."""

    q: Annotated[str, Field(max_length=200, pattern=NO_CONTROL_CHARACTERS)] = Field(
        default="",
        description="Words to search for in titles and transcripts, in any inflected form. "
        'Use `"quotes"` for a phrase, `or` between alternatives, and `-` to exclude a word. '
        "`speaker:anna` finds what Anna says",
    )
    state: list[State] = Field(default=[], description="Filter by one or more states")
    language: LanguageCode = Field(
        default="",
        description="Language code such as `en`, or its name; a region, as in `en-US`, is ignored",
    )
    created_after: Timestamp | None = Field(
        default=None, description="Created at or after this time"
    )
    created_before: Timestamp | None = Field(default=None, description="Created before this time")

    def apply(self, rows: QuerySet[Transcription]) -> QuerySet[Transcription]:
        """The rows that match all filters but `q`."""
        if self.state:
            rows = rows.filter(state__in=self.state)
        if self.language:
            requested = Q(language="", requested_language=self.language)
            rows = rows.filter(Q(language=self.language) | requested)
        if self.created_after:
            rows = rows.filter(created_at__gte=self.created_after)
        if self.created_before:
            rows = rows.filter(created_at__lt=self.created_before)
        return rows
