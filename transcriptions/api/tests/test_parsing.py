"""Headers, cursors and file names from clients: any text is parsed or refused."""

from __future__ import annotations

import base64
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriptions.api.ranges import ranged_response
from transcriptions.exports.filenames import attachment
from transcriptions.library.pagination import InvalidCursor, _decode_cursor, _encode_cursor
from transcriptions.models import Transcription
from transcriptions.realtime.sse import LastEventId

NUMBERS = st.integers(0, 10**45).map(str) | st.just("")
RANGES = st.builds("bytes={}-{}".format, NUMBERS, NUMBERS) | st.text(max_size=60)


def respond(header: str, size: int) -> Any:
    request: Any = SimpleNamespace(headers={"Range": header}, method="HEAD")
    file: Any = SimpleNamespace(size=size)
    return ranged_response(request, file, "audio/mpeg", '"etag"')


@pytest.mark.covers("attack", "Range headers with huge, negative or malformed numbers")
@given(header=RANGES, size=st.integers(0, 10**12))
def test_every_range_is_within_the_file(header: str, size: int) -> None:
    response = respond(header, size)
    assert response.status_code in (200, 206, 416)
    if response.status_code == 206:
        span, total = response["Content-Range"].removeprefix("bytes ").split("/")
        first, last = map(int, span.split("-"))
        assert 0 <= first <= last < size == int(total)
        assert int(response["Content-Length"]) == last - first + 1
    elif response.status_code == 200:
        assert response["Content-Length"] == str(size)


CURSORS = st.text(max_size=100) | st.binary(max_size=80).map(
    lambda content: base64.urlsafe_b64encode(content).decode()
)


@pytest.mark.covers("attack", "Cursors that are forged or damaged")
@given(cursor=CURSORS)
def test_any_cursor_is_decoded_or_refused(cursor: str) -> None:
    with suppress(InvalidCursor):
        created_at, _ = _decode_cursor(cursor)
        assert created_at.tzinfo == UTC


@given(moment=st.datetimes(timezones=st.just(UTC)), number=st.uuids())
def test_cursor_is_decoded_to_what_was_encoded(moment: datetime, number: uuid.UUID) -> None:
    cursor = _encode_cursor(Transcription(created_at=moment, id=number))
    assert _decode_cursor(cursor) == (moment, number)


@given(header=st.text(st.characters(codec="latin-1"), max_size=60))
def test_any_last_event_id_is_read_or_ignored(header: str) -> None:
    request: Any = SimpleNamespace(headers={"Last-Event-ID": header}, GET={})
    assert LastEventId.from_request(request).event_id >= -1


@pytest.mark.covers("attack", "File names with quotes, line breaks and right-to-left marks")
@given(title=st.text(max_size=255))
def test_any_title_gives_a_header_of_one_line(title: str) -> None:
    header = attachment(title, "txt")
    assert header.startswith("attachment")
    assert header.isascii()
    assert header.isprintable()
