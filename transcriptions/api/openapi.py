"""What the OpenAPI document says beyond signatures: raw bodies, streams, headers, examples."""

from __future__ import annotations

from typing import Any

MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "w64": "audio/wav",
    "mov": "audio/mp4",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "matroska": "audio/webm",
}

_BINARY = {"type": "string", "format": "binary"}
_ID = "3f0c8a52-6a0f-4f0e-9d53-0c1f4b6c8f11"
_RECORDING: dict[str, Any] = {
    "id": _ID,
    "title": "Team meeting",
    "state": "completed",
    "language": "en",
    "duration": 3.2,
    "created_at": "2026-05-04T09:30:00Z",
    "completed_at": "2026-05-04T09:30:04Z",
    "engine": "whisper",
    "model": "base",
    "note": None,
    "error": None,
}
_SEGMENT = {
    "id": 1,
    "start": 0.4,
    "end": 2.1,
    "text": "Good morning.",
    "words": [
        {"start": 0.4, "end": 0.9, "text": "Good"},
        {"start": 0.9, "end": 2.1, "text": "morning."},
    ],
}
_TRANSCRIPT = _RECORDING | {"text": "Good morning.", "segments": [_SEGMENT]}
_WAITING = _RECORDING | {
    "state": "queued",
    "duration": None,
    "completed_at": None,
    "engine": None,
    "model": None,
}
_EXPORTED = {
    **{name: _RECORDING[name] for name in ("title", "language", "duration")},
    "text": "Good morning.",
    "segments": [_SEGMENT],
}
_STREAM = (
    "retry: 2000\n\n"
    'id: 1\nevent: progress\ndata: {"type":"progress","id":1,"segment":{"id":1,"start":0.4,'
    '"end":2.1,"text":"Good morning.","words":[]}}\n\n'
)


def _json(status: int, example: Any, **more: Any) -> dict[int, Any]:
    return {status: {"content": {"application/json": {"example": example}}, **more}}


def _content(description: str, *media_types: str) -> dict[str, Any]:
    content: dict[str, Any] = {media_type: {"schema": _BINARY} for media_type in media_types}
    return {"description": description, "content": content}


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _creates(responses: dict[int, Any]) -> dict[str, Any]:
    """A recording as the field of a form, or as the body itself."""
    raw = {"schema": _BINARY}
    body = {"required": True, "content": {"audio/*": raw, "video/*": raw}}
    return {"requestBody": body, "responses": responses}


_EVENT = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
}
EVENTS = {
    200: {
        "description": "`metadata`, `progress` for each segment, then `complete` or `error`; where "
        "early words are on, also `partial`, without an `id`.",
        "content": {"text/event-stream": {"schema": _EVENT, "example": _STREAM}},
    }
}
CREATES_TRANSCRIPT = _creates(_json(200, _TRANSCRIPT))
CREATES_STREAM = _creates(EVENTS)
CREATES_RECORDING = _creates(
    _json(202, _WAITING, headers={"Location": _header("Where to look for it")})
)
LIST = {"responses": _json(200, {"items": [_RECORDING], "next_cursor": None})}
RECORDING = {"responses": _json(200, _RECORDING)}
RETRIED = {"responses": _json(202, _RECORDING | {"state": "prepared", "completed_at": None})}
TRANSCRIPT = {"responses": _json(200, _TRANSCRIPT)}
SEGMENT = {"responses": _json(200, _SEGMENT)}
FOLLOW = {"responses": EVENTS | {204: {"description": "It has ended, and you have seen it all."}}}
_TEXT = _content("The file.", "text/plain", "application/x-subrip", "text/vtt")
_TEXT["content"]["application/x-subrip"]["example"] = (
    "1\n00:00:00,400 --> 00:00:02,100\nGood morning.\n"
)
_TEXT["content"]["application/json"] = {"schema": {"type": "object"}, "example": _EXPORTED}
EXPORT = {"responses": {200: _TEXT}}
AUDIO = {
    "responses": {
        200: _content("All of it.", *{*MEDIA_TYPES.values(), "application/octet-stream"}),
        206: _content("The part that `Range` asks for.", "audio/*"),
        416: {"description": "There is no such part."},
    }
}
