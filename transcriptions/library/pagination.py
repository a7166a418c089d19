"""Pages of the library, newest first.

The API has keyset pagination: rows added or deleted between requests cause no gaps or duplicates.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from transcriptions.indexing import search
from transcriptions.indexing.passages import set_passages
from transcriptions.indexing.search import NO_ROWS, Search
from transcriptions.models import Transcription

# How many rows have all their entries read before the index is used: the newest ones, and more of
# them if these have enough matches to make a full page likely.
SEARCHED_FIRST, SEARCHED_NEXT = 200, 800


class InvalidCursor(ValueError):
    """The cursor was not created by `paginate`; `str()` is a message for the caller."""

    def __init__(self) -> None:
        super().__init__(_("Invalid cursor. Use `next_cursor` of the previous page."))


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of search results, for the template of Django's `Page`."""

    object_list: list[Transcription]
    number: int
    has_next: bool

    def __iter__(self) -> Iterator[Transcription]:
        return iter(self.object_list)

    def __len__(self) -> int:
        return len(self.object_list)

    @property
    def has_previous(self) -> bool:
        """Whether there are newer results."""
        return self.number > 1

    @property
    def has_other_pages(self) -> bool:
        """Whether to show links."""
        return self.has_previous or self.has_next

    @property
    def next_page_number(self) -> int:
        """The page number of the older results."""
        return self.number + 1

    @property
    def previous_page_number(self) -> int:
        """The page number of the newer results."""
        return self.number - 1


def search_page(
    rows: QuerySet[Transcription], query: str, number: int, per_page: int
) -> SearchPage:
    """Page `number` of the rows that match the query. The total is not counted. Raises
    SearchRefused."""
    start = (number - 1) * per_page
    found = _newest(rows, query, start, start + per_page + 1)
    return SearchPage(found[:per_page], number, len(found) > per_page)


def paginate(
    rows: QuerySet[Transcription], query: str, cursor: str, limit: int
) -> tuple[list[Transcription], str | None]:
    """The first `limit` rows after `cursor` that match the query, and the cursor of the next page.

    Raises InvalidCursor, SearchRefused.
    """
    if cursor:
        created_at, transcription_id = _decode_cursor(cursor)
        older = Q(created_at__lt=created_at)
        rows = rows.filter(older | Q(created_at=created_at, id__lt=transcription_id))
    page = _newest(rows, query, 0, limit + 1)
    has_next = len(page) > limit
    return page[:limit], _encode_cursor(page[limit - 1]) if has_next else None


def _newest(rows: QuerySet[Transcription], query: str, start: int, end: int) -> list[Transcription]:
    """Rows `start` to `end` of those that match the query, or of all, newest first.

    Frequent words have enough matches among the newest rows. Rare ones have so few matches that all
    can be sorted. PostgreSQL cannot decide this: it does not know that all words of an account are
    in its own rows. Raises SearchRefused.
    """
    rows = rows.order_by("-created_at", "-id")
    if not query.strip():
        return list(rows[start:end])
    with search.limited_time():
        parsed = search.parse(rows, query)
        found = _found(rows, parsed, start, end)
        set_passages(found, parsed)
        return found


def _found(
    rows: QuerySet[Transcription], parsed: Search, start: int, end: int
) -> list[Transcription]:
    """Rows `start` to `end` of those that match."""
    matching = rows.filter(reduce(or_, parsed.conditions(), NO_ROWS))
    newest: list[uuid.UUID] = []
    found: list[Transcription] = []
    for count in (SEARCHED_FIRST, SEARCHED_NEXT):
        ids = list(rows.values_list("id", flat=True)[len(newest) : len(newest) + count])
        newest += ids
        found += _matches_within(ids, matching, end - len(found))
        if len(found) == end or len(ids) < count:
            return found[start:end]
        if len(found) < end * SEARCHED_FIRST / (SEARCHED_FIRST + SEARCHED_NEXT):
            break
    older = _candidates(rows, parsed, set(newest))
    return [*found, *_matches_within(older, matching, end - len(found))][start:end]


def _matches_within(
    ids: list[uuid.UUID], matching: QuerySet[Transcription], count: int
) -> list[Transcription]:
    """The first `count` matches among these rows, which are in the order of `matching`."""
    found: list[Transcription] = []
    for first in range(0, len(ids), SEARCHED_FIRST):
        batch = ids[first : first + SEARCHED_FIRST]
        found += matching.filter(id__in=batch)[: min(count - len(found), len(batch))]
        if len(found) == count:
            break
    return found


def _candidates(
    rows: QuerySet[Transcription], parsed: Search, searched: set[uuid.UUID]
) -> list[uuid.UUID]:
    """Rows that may match, newest first, without those that were searched before."""
    keys = rows.order_by().values_list("created_at", "id")
    found = {key for condition in parsed.candidates() for key in keys.filter(condition)}
    return [key[1] for key in sorted(found, reverse=True) if key[1] not in searched]


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
