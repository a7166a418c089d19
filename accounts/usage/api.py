"""Usage over REST."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router

from accounts.authentication import TokenAuth, WebSessionAuth, authenticated_user
from accounts.models import Scope
from accounts.schemas import ErrorOut, example
from accounts.usage.summary import UsageOut, usage_this_month

router = Router(tags=["usage"], auth=[TokenAuth(Scope.USAGE), WebSessionAuth()])

_USAGE_EXAMPLE = {"audio_seconds": 754.2, "jobs": 12}
_EXAMPLE = {
    "plan": "Studio",
    "period_start": "2026-05-01",
    "resets_on": "2026-06-01",
    **_USAGE_EXAMPLE,
    "quota_seconds": 36000.0,
    "remaining_seconds": 35245.8,
    "stored_bytes": 84_123_456,
    "storage_quota_bytes": 21_474_836_480,
    "days": [{"date": "2026-05-04", **_USAGE_EXAMPLE}],
}


@router.get(
    "/usage",
    response={200: UsageOut, 401: ErrorOut, 403: ErrorOut, 429: ErrorOut},
    openapi_extra=example(200, _EXAMPLE),
)
def usage(request: HttpRequest) -> UsageOut:
    """Get your usage of this month, what is left of your quota, and when it resets."""
    return usage_this_month(authenticated_user(request))
