"""The curl command of an operation in the API reference."""

from __future__ import annotations

import json
import shlex
from typing import Any

from django.conf import settings

PLACEHOLDERS = {
    "{transcription_id}": "$ID",
    "{token_id}": "$ID",
    "{number}": "1",
    "{revision}": "0",
    "{name}": "club",
}
FLAGS = {"/export": "-OJ", "/audio": "-o recording"}


def curl(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    """The curl command. It uses $TOKEN, and $ID if the path has an id."""
    content = operation.get("requestBody", {}).get("content", {})
    parts = ["curl", *_flags(path, operation), *_method(method, content)]
    lines = [
        " ".join([*parts, '-H "Authorization: Bearer $TOKEN"']),
        *_body(path, content, schemas),
        f'"{settings.SITE_URL}{_fill_placeholders(path)}"',
    ]
    return " \\\n     ".join(lines)


def _flags(path: str, operation: dict[str, Any]) -> list[str]:
    is_stream = "text/event-stream" in operation["responses"].get("200", {}).get("content", {})
    flag = "-N" if is_stream else next((f for end, f in FLAGS.items() if path.endswith(end)), "")
    return [flag] if flag else []


def _method(method: str, content: dict[str, Any]) -> list[str]:
    implied = method == "GET" or (method == "POST" and "multipart/form-data" in content)
    return [] if implied else ["-X", method]


def _body(path: str, content: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    if "multipart/form-data" in content:
        return ["-F file=@talk.srt" if path.endswith("/import") else "-F file=@talk.mp3"]
    if "application/json" in content:
        name = content["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        example = json.dumps(schemas[name]["example"])
        return ['-H "Content-Type: application/json"', f"-d {shlex.quote(example)}"]
    return []


def _fill_placeholders(path: str) -> str:
    for name, value in PLACEHOLDERS.items():
        path = path.replace(name, value)
    return path
