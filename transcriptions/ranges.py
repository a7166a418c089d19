"""Stored files over HTTP, whole or in part (RFC 9110, section 14), without reading them whole."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

CHUNK = 256 * 1024


def ranged_response(request: HttpRequest, file: FieldFile, content_type: str) -> HttpResponseBase:
    """200 with the whole file, 206 with the part asked for, or 416 if there is no such part."""
    size = file.size
    wanted = _range(request.headers.get("Range", ""), size)
    if wanted is None:
        response = HttpResponse(status=416)
        response["Content-Range"] = f"bytes */{size}"
        return response
    first, last = wanted
    partial = "Range" in request.headers and wanted != (0, size - 1)
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(last - first + 1)}
    if partial:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    status = 206 if partial else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, content_type=content_type, headers=headers)
    return StreamingHttpResponse(
        _read(file, first, last), status=status, content_type=content_type, headers=headers
    )


def _range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte, or None if not satisfiable. What is not understood asks for it all."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if not found or found.groups() == ("", ""):
        return 0, size - 1
    first, last = found.groups()
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
