"""OpenAPI details that view signatures cannot express: raw bodies, streams, headers, examples."""

from __future__ import annotations

from typing import Any

from transcriptions.exports.documents import EXPORTERS
from transcriptions.media_formats import FORMATS

_BINARY = {"type": "string", "format": "binary"}
EXAMPLE_ID = "3f0c8a52-6a0f-4f0e-9d53-0c1f4b6c8f11"
_TRACK = {
    "index": 0,
    "language": "eng",
    "title": None,
    "codec": "aac",
    "channels": 2,
    "default": True,
    "chosen": True,
}
_TRANSCRIPTION: dict[str, Any] = {
    "id": EXAMPLE_ID,
    "title": "Team meeting",
    "state": "completed",
    "priority": "interactive",
    "queue_position": None,
    "language": "en",
    "languages": ["en"],
    "duration": 3.2,
    "tracks": [_TRACK],
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
    "language": "en",
    "channel": None,
    "speaker": 1,
    "paragraph": True,
    "probability": 0.97,
    "conflict": None,
    "words": [
        {"start": 0.4, "end": 0.9, "text": "Good", "probability": 0.98, "speaker": 1},
        {"start": 0.9, "end": 2.1, "text": "morning.", "probability": 0.96, "speaker": 1},
    ],
}
_SPEAKER = {
    "number": 1,
    "name": "Anna",
    "label": "Anna",
    "seconds": 1.7,
    "recognized": True,
    "voice": 3,
}
_TRANSCRIPT = _TRANSCRIPTION | {
    "text": "Good morning.",
    "speakers": [_SPEAKER],
    "speaker_detection": None,
    "segments": [_SEGMENT],
}
_QUEUED = _TRANSCRIPTION | {
    "state": "queued",
    "queue_position": 1,
    "languages": [],
    "duration": None,
    "tracks": [],
    "completed_at": None,
    "engine": None,
    "model": None,
}
_QUEUED_AGAIN = {"state": "queued", "queue_position": 1, "languages": [], "completed_at": None}
_EXPORTED = {
    "version": 1,
    **{name: _TRANSCRIPTION[name] for name in ("title", "language", "duration")},
    "text": "Good morning.",
    "speakers": [{"number": 1, "label": "Anna"}],
    "segments": [_SEGMENT],
}


def _json(status: int, example: Any, **extra: Any) -> dict[int, Any]:
    return {status: {"content": {"application/json": {"example": example}}, **extra}}


def _content(description: str, *media_types: str) -> dict[str, Any]:
    content: dict[str, Any] = {media_type: {"schema": _BINARY} for media_type in media_types}
    return {"description": description, "content": content}


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _upload(responses: dict[int, Any]) -> dict[str, Any]:
    """An operation that accepts a file as a form field or as the request body itself.

    Only the form has a schema: with two media types, client generators choose none or the wrong
    one.
    """
    body = {
        "description": "Or the recording itself, with its own media type such as `audio/mpeg`; the "
        "fields are then query parameters",
        "required": True,
    }
    return {"requestBody": body, "responses": responses}


_EVENT = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
}
_EVENTS = {
    200: {
        "description": "The events `metadata`, `progress` for each segment, then `complete` or "
        "`error`. If partial results are enabled, also `partial`, without an `id`.",
        "content": {"text/event-stream": {"schema": _EVENT}},
    }
}
_NO_MORE_EVENTS = {"description": "The stream has ended and there are no more events."}
_LOCATION = {"Location": _header("URL of the transcription")}
_EXPORT_TYPES = sorted({each.media_type.partition(";")[0] for each in EXPORTERS.values()})
_FILE = _content("The transcript file.", *_EXPORT_TYPES)
_FILE["content"]["application/x-subrip"]["example"] = (
    "1\n00:00:00,400 --> 00:00:02,100\nGood morning.\n"
)
_FILE["content"]["application/json"] = {"schema": {"type": "object"}, "example": _EXPORTED}
_ARCHIVE = _content("A ZIP file with a file for each recording.", "application/zip")

_UPLOAD_STARTED = {
    "id": EXAMPLE_ID,
    "parts": 3,
    "part_bytes": 8_388_608,
    "expires_at": "2026-05-04T11:30:00Z",
}
_PART = {"url": "http://127.0.0.1:9000/...", "start": 16_777_216, "bytes": 3_222_784}
_REDIRECT = {
    "description": "The recording is in object storage: `Location` has its URL, which is valid for "
    "an hour, supports ranges and needs no token.",
    "headers": {"Location": _header("Signed URL of the recording")},
}

_AUDIO_TYPES = sorted({*(each.media_type for each in FORMATS), "application/octet-stream"})

# The argument `openapi_extra` of each operation.
TRANSCRIBE = _upload(_json(200, _TRANSCRIPT))
TRANSCRIBE_STREAM = _upload(_EVENTS)
CREATE = _upload(_json(202, _QUEUED, headers=_LOCATION))
START_UPLOAD = {"responses": _json(201, _UPLOAD_STARTED)}
COMPLETE_UPLOAD = {"responses": _json(202, _QUEUED, headers=_LOCATION)}
UPLOAD_PART = {"responses": _json(200, _PART)}
_PASSAGE = {"segment": 1, "start": 0.4, "text": "Good morning.", "speaker": "Anna"}
_FOUND = _TRANSCRIPTION | {"passage": _PASSAGE}
LIST = {"responses": _json(200, {"items": [_FOUND], "next_cursor": None})}
TRANSCRIPTION = {"responses": _json(200, _TRANSCRIPTION)}
RETRY = {"responses": _json(202, _TRANSCRIPTION | _QUEUED_AGAIN)}
TRANSCRIPT = {"responses": _json(200, _TRANSCRIPT)}
SEGMENT = {"responses": _json(200, _SEGMENT)}
EDITS = {
    "responses": _json(
        200,
        {
            "revision": 1,
            "changes": [{"from": 1, "to": 1, "segments": [_SEGMENT]}],
            "undo": True,
            "redo": False,
            "speakers": {"1": "Anna"},
        },
    )
}
VERSIONS = {
    "responses": _json(
        200, [{"revision": 1, "at": "2026-05-04T09:40:00Z", "edits": 1, "kinds": ["text"]}]
    )
}
VERSION = {
    "responses": _json(
        200,
        {
            "revision": 0,
            "passages": [
                {
                    "start": 0.4,
                    "speaker_before": "Anna",
                    "speaker": "Anna",
                    "texts": [
                        {"kind": "same", "text": "Good"},
                        {"kind": "removed", "text": "evening."},
                        {"kind": "added", "text": "morning."},
                    ],
                }
            ],
        },
    )
}
SPEAKER = {"responses": _json(200, _SPEAKER)}
SPEAKERS = {"responses": _json(200, [_SPEAKER])}
DETECT_SPEAKERS = {"responses": _json(202, {"state": "waiting", "error": None})}
CHANGED_SPEAKERS = {
    "responses": _json(
        200,
        {"speakers": [_SPEAKER], "segments": [{"id": 1, "speaker": 1, "words": [1, 1]}]},
    )
}
_PROPOSAL = {
    "state": "ready",
    "error": None,
    "revision": 4,
    "clear": True,
    "voices": [
        {
            "segments": [1, 2, 5],
            "seconds": 21.4,
            "examples": [{"segment": 1, "start": 0.4, "end": 2.1, "text": "Good morning."}],
        },
        {
            "segments": [3, 4],
            "seconds": 9.8,
            "examples": [{"segment": 3, "start": 8.0, "end": 12.6, "text": "We leave at noon."}],
        },
    ],
}
PROPOSAL = {"responses": _json(200, _PROPOSAL)}
COMPARE = {
    "responses": _json(202, _PROPOSAL | {"state": "waiting", "clear": None, "voices": []}),
}
RECOGNIZE = {"responses": _json(202, _QUEUED, headers=_LOCATION)}
IMPORT = {
    "requestBody": {
        "description": "Or the text itself, with its own media type such as `text/plain`, "
        "`application/x-subrip` or `application/json`",
        "required": True,
    },
    "responses": _json(
        200,
        _TRANSCRIPT | {"imported": {"matched": 1, "replaced": 1, "added": 0, "removed": 0}},
    ),
}
READ_TOKEN = {
    "responses": _json(201, {"token": "rt_WzcsIjNm...", "expires_at": "2026-05-04T09:40:00Z"})
}
EVENTS = {"responses": _EVENTS | {204: _NO_MORE_EVENTS}}
EXPORT = {"responses": {200: _FILE}}
EXPORT_ARCHIVE = {"responses": {200: _ARCHIVE}}
AUDIO = {
    "responses": {
        200: _content("The whole file.", *_AUDIO_TYPES),
        206: _content("The requested range.", *_AUDIO_TYPES),
        302: _REDIRECT,
        416: {"description": "The range is not satisfiable."},
    }
}
