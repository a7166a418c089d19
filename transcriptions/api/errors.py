"""Error answers of the API."""

from __future__ import annotations

from transcriptions.usage.quotas import seconds_until_reset

# HTTP statuses of failures that happened after the upload was accepted.
STATUSES = {"disk_full": 507, "quota_exceeded": 429}


class ApiError(Exception):
    """An error answer with its HTTP status."""

    def __init__(self, status: int, code: str, detail: str, wait: int | None = None) -> None:
        """`wait` in seconds, if it is known when it may be tried again."""
        super().__init__(detail)
        self.status, self.code, self.wait = status, code, wait


def status_of(code: str, refused: int) -> int:
    """The HTTP status of a failed recording: `refused` if it is to blame for that itself."""
    if code in STATUSES:
        return STATUSES[code]
    ours = code.startswith("engine_") or code in ("internal_error", "out_of_memory", "timed_out")
    return 503 if ours else refused


def refusal(code: str, message: str, refused: int) -> ApiError:
    """The answer about a recording that has failed, see `status_of`."""
    wait = seconds_until_reset() if code == "quota_exceeded" else None
    return ApiError(status_of(code, refused), code, message, wait)
