"""Error responses of the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.http import Http404
from django.utils.translation import gettext as _

from transcriptions.exceptions import (
    EditConflict,
    NothingToUndo,
    UnknownSpeaker,
    UnknownVersion,
    WrongState,
)
from transcriptions.models import Segment
from transcriptions.usage.quotas import seconds_until_reset

# HTTP status by error code, for recordings that failed after their upload was accepted.
FAILURE_STATUSES = {"disk_full": 507, "quota_exceeded": 429}
SERVER_ERROR_CODES = {"internal_error", "out_of_memory", "storage_unavailable", "timed_out"}


class ApiError(Exception):
    """An error response with its HTTP status."""

    def __init__(self, status: int, code: str, detail: str, wait: int | None = None) -> None:
        """`wait`: seconds until a retry can succeed, if known. Sent as `Retry-After`."""
        super().__init__(detail)
        self.status, self.code, self.wait = status, code, wait


def failure_status(code: str, client_error: int) -> int:
    """The HTTP status of a failed recording; `client_error` if the recording caused the failure."""
    if code in FAILURE_STATUSES:
        return FAILURE_STATUSES[code]
    is_server_error = code.startswith("engine_") or code in SERVER_ERROR_CODES
    return 503 if is_server_error else client_error


def failure_error(code: str, message: str, client_error: int) -> ApiError:
    """The error response for a failed recording. See `failure_status`."""
    wait = seconds_until_reset() if code == "quota_exceeded" else None
    return ApiError(failure_status(code, client_error), code, message, wait)


@contextmanager
def edit_errors() -> Iterator[None]:
    """Turn the exceptions of editing into error responses."""
    try:
        yield
    except Segment.DoesNotExist:
        raise Http404(_("There is no such segment.")) from None
    except UnknownVersion as error:
        raise Http404(str(error)) from None
    except UnknownSpeaker as error:
        raise ApiError(422, "unknown_speaker", str(error)) from None
    except EditConflict as error:
        raise ApiError(409, "edit_conflict", str(error)) from None
    except NothingToUndo as error:
        raise ApiError(409, "nothing_to_undo", str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_completed", str(error)) from None
