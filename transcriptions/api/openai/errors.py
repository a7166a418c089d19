"""Errors in OpenAI's format."""

from __future__ import annotations

from typing import Any

from transcriptions.api.errors import ApiError


class InvalidParameter(ApiError):
    """An error that names the invalid parameter."""

    def __init__(self, status: int, code: str, detail: str, param: str) -> None:
        super().__init__(status, code, detail)
        self.param = param


def error_body(
    code: str, message: str, param: str | None = None, status: int = 400
) -> dict[str, Any]:
    """The body of an error response. The official client reads all four keys."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    if status == 429:
        kind = "insufficient_quota" if code == "quota_exceeded" else "rate_limit_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
