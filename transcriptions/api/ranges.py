"""Stored files over HTTP, whole or in part (RFC 9110, section 14), without reading them whole."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

CHUNK = 256 * 1024
RANGE = re.compile(r"bytes=(\d{1,40}-\d{0,40}|-\d{1,40})")


def ranged_response(
    request: HttpRequest, file: FieldFile, content_type: str, etag: str
) -> HttpResponseBase:
    """200 with the whole file, 206 with the part asked for, or 416 if there is no such part.

    `etag` names this content. A part is wanted of that alone, if the client says so by `If-Range`.
    """
    size = file.size
    whole = request.headers.get("If-Range", etag) != etag
    given = "" if whole else request.headers.get("Range", "").strip()
    asked = RANGE.fullmatch(given)
    part = _part(asked[1], size) if asked else (0, size - 1)  # what is not understood: all of it
    if part is None:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    first, last = part
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(last - first + 1), "ETag": etag}
    if asked:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    status = 206 if asked else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, content_type=content_type, headers=headers)
    return StreamingHttpResponse(
        _read(file, first, last), status=status, content_type=content_type, headers=headers
    )


def _part(asked: str, size: int) -> tuple[int, int] | None:
    """First and last byte of `4-8`, `4-` or `-5`; None if the file has no such part."""
    first, _, last = asked.partition("-")
    if not first:  # the last N bytes
        return (max(0, size - int(last)), size - 1) if int(last) else None
    if int(first) >= size or (last and int(last) < int(first)):
        return None
    return int(first), min(int(last), size - 1) if last else size - 1


async def _read(file: FieldFile, first: int, last: int) -> AsyncIterator[bytes]:
    source = await sync_to_async(file.storage.open)(file.name or "", "rb")
    try:
        await sync_to_async(source.seek)(first)
        left = last - first + 1
        while left and (chunk := await sync_to_async(source.read)(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
    finally:
        await sync_to_async(source.close)()
