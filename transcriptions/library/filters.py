"""Filters of the library."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from django.db.models import Q, QuerySet
from ninja import Schema
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from transcriptions.indexing import search
from transcriptions.models import State, Transcription

PLAIN = r"^[^\x00-\x1f]*$"  # no control characters


def _iso(value: object) -> object:
    """Pydantic takes bare numbers for seconds since 1970; nobody means that in an address."""
    if (isinstance(value, str) and not value[:4].isdigit()) or "-" not in str(value):
        raise ValueError("a moment such as 2026-05-04T09:30:00Z is wanted, or a date")
    return f"{value}T00:00:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)) else value


def _in_utc(value: datetime) -> datetime:
    """PostgreSQL knows fewer offsets than Python."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("this moment is beyond all calendars") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_iso), AfterValidator(_in_utc)]


class LibraryFilter(Schema):
    """Which part of the library is wanted. All conditions hold together."""

    q: Annotated[str, Field(max_length=200, pattern=PLAIN)] = Field(
        default="",
        description='Words to be found in title or text, in any form: `"in quotes"` as they '
        "stand, `or` between two, `-` before what must not be there",
    )
    state: list[State] = Field(default=[], description="One state or several")
    language: str = Field(
        default="",
        pattern="^([A-Za-z]{2,3}(-[A-Za-z0-9-]{1,30})?)?$",
        description="Code such as `en`; of `en-US` the first part counts",
    )
    created_after: Moment | None = Field(default=None, description="From this moment on")
    created_before: Moment | None = Field(default=None, description="Before this moment")

    def apply(self, rows: QuerySet[Transcription]) -> QuerySet[Transcription]:
        """Those of `rows` that are wanted."""
        if self.state:
            rows = rows.filter(state__in=self.state)
        if self.language:
            code = self.language.lower().partition("-")[0]
            rows = rows.filter(Q(language=code) | Q(language="", requested_language=code))
        if self.created_after:
            rows = rows.filter(created_at__gte=self.created_after)
        if self.created_before:
            rows = rows.filter(created_at__lt=self.created_before)
        return search.matching(rows, self.q) if self.q.strip() else rows
