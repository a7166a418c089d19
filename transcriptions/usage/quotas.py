"""Whether an account may have one more, asked before anything is spent on it.

Who asks holds the account's row, so two uploads at the limit come one after the other: what is on
its way counts as used already, and what fails gives it back.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, time

from django.db.models import Sum
from django.utils import timezone

from accounts.models import ApiToken, Plan, User
from accounts.rate_limits import Throttled
from accounts.usage import ledger
from transcriptions.durations import clock, minutes
from transcriptions.exceptions import AudioError, TooLong
from transcriptions.models import FINISHED, State, Transcription
from transcriptions.usage import metering

MEGABYTE = 1024 * 1024
UNDER_WAY = (State.PREPARED, State.TRANSCRIBING)  # their length is known, and reserved


class QuotaExceeded(Throttled):
    """The month's minutes are used up."""

    code = "quota_exceeded"


class NotEnoughLeft(AudioError):
    """This recording is longer than what is left of the month's minutes."""

    code = "quota_exceeded"


class TooManyJobs(Throttled):
    """As many recordings as the plan allows are being worked on."""

    code = "too_many_jobs"


def largest_file(plan: Plan, installation_mb: int) -> int:
    """In MB: the plan's own limit, or that of the installation."""
    return min(installation_mb, plan.max_file_mb or installation_mb)


def longest_recording(plan: Plan, installation_seconds: float) -> float:
    """In seconds: the plan's own limit, or that of the installation."""
    minutes = math.inf if plan.max_minutes is None else plan.max_minutes
    return min(installation_seconds, minutes * 60)


def admit(row: Transcription) -> None:
    """Whether this new recording may stay. Call it in the transaction that adds the row: it holds
    the account until that ends.

    Raises QuotaExceeded, TooManyJobs.
    """
    plan = _hold(row.owner).effective_plan
    if plan.max_jobs is not None:
        under_way = Transcription.objects.filter(owner=row.owner).exclude(state__in=FINISHED)
        if under_way.exclude(id=row.id).count() >= plan.max_jobs:
            raise TooManyJobs(
                f"Your plan ({plan.name}) works on {plan.max_jobs} at once, and there are as many "
                "already. Send this one when one of them is done.",
                wait=30,
            )
    if row.duration is not None and metering.due_ms(row, row.duration) == 0:
        return  # tried again after all of it was paid for
    for quota, left, whose in _budgets(row):
        if left <= 0:
            raise QuotaExceeded(
                f"The {minutes(quota)} that {whose} has this month are used up. "
                f"They renew on {_renewal():%-d %B}.",
                wait=seconds_to_renewal(),
            )


def reserve(row: Transcription, duration: float) -> None:
    """Whether there is room for those of these seconds that were not charged before. Call it in the
    transaction that makes the row `prepared`: from then on its length counts.

    Raises TooLong, NotEnoughLeft.
    """
    plan = _hold(row.owner).effective_plan
    if plan.max_minutes is not None and duration > plan.max_minutes * 60:
        raise TooLong(
            f"The recording is {clock(duration)} long, and your plan ({plan.name}) takes "
            f"{minutes(plan.max_minutes)}. Split it and send the parts."
        )
    due = metering.due_ms(row, duration)
    for quota, left, whose in _budgets(row):
        if due > left:
            raise NotEnoughLeft(
                f"The recording {_length(duration, due)}, and {clock(max(0, left) / 1000)} of "
                f"the {minutes(quota)} that {whose} has this month are left. "
                f"They renew on {_renewal():%-d %B}."
            )


def _length(duration: float, due: int) -> str:
    """What there must be room for, in words."""
    if due >= round(duration * 1000):
        return f"is {clock(duration)} long"
    return f"still takes {clock(due / 1000)} of its {clock(duration)}"


def _hold(owner: User) -> User:
    """The account, held until the transaction ends. Others may still refer to it meanwhile."""
    held = User.objects.select_for_update(of=("self",), no_key=True)
    return held.select_related("plan").get(pk=owner.pk)


def _budgets(row: Transcription) -> list[tuple[int, int, str]]:
    """Minutes a month, milliseconds that are left of them for this row, and whose they are."""
    found = []
    if (quota := row.owner.effective_plan.monthly_minutes) is not None:
        found.append((quota, _left(row, quota), "your plan"))
    if row.token and (quota := row.token.monthly_minutes) is not None:
        found.append((quota, _left(row, quota, row.token), "this token"))
    return found


def _left(row: Transcription, minutes: int, token: ApiToken | None = None) -> int:
    others = Transcription.objects.filter(owner=row.owner, state__in=UNDER_WAY).exclude(id=row.id)
    if token:
        others = others.filter(token=token)
    used = ledger.billed_ms(row.owner_id, timezone.now(), token.pk if token else None)
    seconds = others.aggregate(sum=Sum("duration"))["sum"] or 0.0
    reserved = round(seconds * 1000) - metering.charged_ms(others.values("id"))
    return minutes * 60_000 - used - reserved


def _renewal() -> datetime:
    return datetime.combine(ledger.month_bounds(timezone.now())[1], time(), UTC)


def seconds_to_renewal() -> int:
    return int((_renewal() - timezone.now()).total_seconds()) + 1
