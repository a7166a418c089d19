"""HTTP range requests for stored files (RFC 9110, section 14). Files are streamed in chunks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

CHUNK_BYTES = 256 * 1024
RANGE_PATTERN = re.compile(r"bytes=(\d{1,40}-\d{0,40}|-\d{1,40})")


def ranged_response(
    request: HttpRequest, file: FieldFile, content_type: str, etag: str
) -> HttpResponseBase:
    """200 with the whole file, 206 with the requested range, or 416 if the range does not exist.

    `etag` identifies the content. If `If-Range` names another one, the range is ignored.
    """
    size = file.size
    matches_etag = request.headers.get("If-Range", etag) == etag
    header = request.headers.get("Range", "").strip() if matches_etag else ""
    requested = RANGE_PATTERN.fullmatch(header)
    # A header that cannot be parsed is ignored, as RFC 9110 requires.
    byte_range = _byte_range(requested[1], size) if requested else (0, size - 1)
    if byte_range is None:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    first, last = byte_range
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(last - first + 1), "ETag": etag}
    if requested:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    status = 206 if requested else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, content_type=content_type, headers=headers)
    return StreamingHttpResponse(
        _read(file, first, last), status=status, content_type=content_type, headers=headers
    )


def _byte_range(requested: str, size: int) -> tuple[int, int] | None:
    """First and last byte of `4-8`, `4-`, or `-5` (the last 5 bytes); None if not satisfiable."""
    first, _, last = requested.partition("-")
    if not first:
        return (max(0, size - int(last)), size - 1) if size and int(last) else None
    if int(first) >= size or (last and int(last) < int(first)):
        return None
    return int(first), min(int(last), size - 1) if last else size - 1


async def _read(file: FieldFile, first: int, last: int) -> AsyncIterator[bytes]:
    source = await sync_to_async(file.storage.open)(file.name or "", "rb")
    try:
        await sync_to_async(source.seek)(first)
        remaining = last - first + 1
        while remaining and (
            chunk := await sync_to_async(source.read)(min(CHUNK_BYTES, remaining))
        ):
            remaining -= len(chunk)
            yield chunk
    finally:
        await sync_to_async(source.close)()
