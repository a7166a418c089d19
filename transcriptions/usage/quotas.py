"""Quotas of a plan and of a token, checked before computing time is spent on a recording.

Every check locks the account's row, so concurrent uploads at a limit are checked one after another.
The duration of a recording counts from the moment it is known; a failure releases it.

Silence and cancelled recordings are not charged, but they take time and disk too. So audio that is
processed without a charge has a separate monthly limit, as high as that of the plan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, time

from django.db.models import Sum
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import ApiToken, Plan, User
from accounts.rate_limits import Throttled
from accounts.usage import ledger, storage
from transcriptions.durations import clock, minutes
from transcriptions.exceptions import AudioError, TooLong
from transcriptions.models import DirectUpload, State, Transcription
from transcriptions.usage import metering, queue_limits

TOO_MANY_JOBS_RETRY_S = 30
RESERVING_STATES = (State.PREPARED, State.TRANSCRIBING)  # their duration is known and reserved


class QuotaExceeded(Throttled):
    """No minutes are left this month."""

    code = "quota_exceeded"


class NotEnoughLeft(AudioError):
    """The recording is longer than the minutes that are left this month."""

    code = "quota_exceeded"


class TooManyJobs(Throttled):
    """The plan's number of simultaneous recordings is reached."""

    code = "too_many_jobs"


@dataclass(frozen=True, slots=True)
class MonthlyLimit:
    """A monthly limit that applies to a recording, and how much of it is left."""

    name: str  # translated, to be inserted into a message
    minutes: int
    left_ms: int  # may be negative after a change of the plan

    @property
    def placeholders(self) -> dict[str, str]:
        """Values for messages about this limit."""
        return {
            "limit": self.name,
            "minutes": minutes(self.minutes),
            "left": clock(max(0, self.left_ms) / 1000),
            "date": date_format(_reset_at().date(), "DATE_FORMAT"),
        }


def largest_file(plan: Plan, installation_mb: int) -> int:
    """The largest upload in MB: the smaller of the plan's and the installation's limits."""
    return min(installation_mb, plan.max_file_mb or installation_mb)


def longest_recording(plan: Plan, installation_seconds: float) -> float:
    """The longest recording in seconds: the smaller of the plan's and the installation's limits."""
    plan_minutes = math.inf if plan.max_minutes is None else plan.max_minutes
    return min(installation_seconds, plan_minutes * 60)


def admit(row: Transcription) -> None:
    """Check whether this new or resumed recording may be processed. Must be called in the
    transaction that adds the row, which locks the account until it ends.

    Raises QuotaExceeded, TooManyJobs, AccountQueueFull, QueueFull.
    """
    row.owner = lock_account(row.owner)
    _check(row)


def check_before_upload(owner: User, token: ApiToken | None) -> None:
    """`admit`, before anything is known about the recording. The limits are checked again when it
    has arrived."""
    _check(Transcription(owner=owner, token=token))


def _check(row: Transcription) -> None:
    queue_limits.check_queues(row)
    _check_jobs(row)
    if row.duration is not None and metering.due_ms(row, row.duration) == 0:
        return  # resumed after all of it was charged
    _check_monthly_limits(row)


def _check_jobs(row: Transcription) -> None:
    plan = row.owner.effective_plan
    if plan.max_jobs is None:
        return
    unfinished = Transcription.objects.filter(owner=row.owner, completed_at=None)
    if unfinished.exclude(id=row.id).count() >= plan.max_jobs:
        raise TooManyJobs(_too_many_jobs(plan, plan.max_jobs), wait=TOO_MANY_JOBS_RETRY_S)


def _check_monthly_limits(row: Transcription) -> None:
    for limit in _monthly_limits(row):
        if limit.left_ms <= 0:
            message = _("The %(limit)s (%(minutes)s) is used up. It resets on %(date)s.")
            raise QuotaExceeded(message % limit.placeholders, wait=seconds_until_reset())


def reserve(row: Transcription, duration: float) -> None:
    """Check that all limits leave enough for the part of `duration` that was not charged before.
    Must be called in the transaction that sets the state `prepared`: from then on this part is
    reserved.

    Raises TooLong, NotEnoughLeft.
    """
    row.owner = lock_account(row.owner)
    plan = row.owner.effective_plan
    if plan.max_minutes is not None and duration > plan.max_minutes * 60:
        raise TooLong(_too_long(plan, plan.max_minutes, duration))
    due = metering.due_ms(row, duration)
    for limit in _monthly_limits(row):
        if due > limit.left_ms:
            raise NotEnoughLeft(_not_enough_left(limit, duration, due))


def exceeds_storage(owner: User) -> bool:
    """Whether the stored uploads and those in progress are larger than the plan allows.
    Must be called in the transaction that adds one, after `admit`."""
    limit = storage.max_stored_bytes(owner.effective_plan)
    if limit is None:
        return False
    incoming = DirectUpload.objects.filter(owner=owner).aggregate(sum=Sum("bytes"))["sum"] or 0
    return storage.stored_bytes(owner) + incoming > limit


def seconds_until_reset() -> int:
    """Seconds until the monthly limits reset, rounded up."""
    return int((_reset_at() - timezone.now()).total_seconds()) + 1


def _reset_at() -> datetime:
    return datetime.combine(ledger.month_bounds(timezone.now())[1], time(), UTC)


# --- Messages for the owner ----------------------------------------------------------------------


def _too_many_jobs(plan: Plan, max_jobs: int) -> str:
    return ngettext(
        "Your plan (%(plan)s) allows %(count)d recording at a time. "
        "Try again when it has finished.",
        "Your plan (%(plan)s) allows %(count)d recordings at a time. "
        "Try again when one has finished.",
        max_jobs,
    ) % {"plan": plan.name, "count": max_jobs}


def _too_long(plan: Plan, max_minutes: int, duration: float) -> str:
    return _(
        "The recording is %(duration)s long. Your plan (%(plan)s) allows %(minutes)s. "
        "Split it and upload the parts."
    ) % {"duration": clock(duration), "plan": plan.name, "minutes": minutes(max_minutes)}


def _not_enough_left(limit: MonthlyLimit, duration: float, due_ms: int) -> str:
    if due_ms >= round(duration * 1000):
        message = _(
            "The recording is %(duration)s long, but only %(left)s of the %(limit)s (%(minutes)s) "
            "is left. It resets on %(date)s."
        )
    else:  # a part was charged before
        message = _(
            "The recording has %(due)s of %(duration)s left to transcribe, but only %(left)s of "
            "the %(limit)s (%(minutes)s) is left. It resets on %(date)s."
        )
    lengths = {"duration": clock(duration), "due": clock(due_ms / 1000)}
    return message % (limit.placeholders | lengths)


# --- Limits --------------------------------------------------------------------------------------


def lock_account(owner: User) -> User:
    """The row, locked until the transaction ends; rows that refer to it can still be added.

    The plan is read afterwards: joined to the row, it would be the plan from before the wait.
    """
    return User.objects.select_for_update(no_key=True).get(pk=owner.pk)


def _monthly_limits(row: Transcription) -> list[MonthlyLimit]:
    limits = []
    if (quota := row.owner.effective_plan.monthly_minutes) is not None:
        limits.append(MonthlyLimit(_("monthly limit of your plan"), quota, _left_ms(row, quota)))
        uncharged = ledger.uncharged_ms(row.owner_id, timezone.now())
        uncharged -= metering.uncharged_ms(row)  # the part that is resumed will be charged
        left_ms = quota * 60_000 - uncharged - _reserved_ms(row)
        name = _("monthly limit of your plan for audio that is not charged")
        limits.append(MonthlyLimit(name, quota, left_ms))
    token = _token_of(row)
    if token and (quota := token.monthly_minutes) is not None:
        left_ms = _left_ms(row, quota, token)
        limits.append(MonthlyLimit(_("monthly limit of this token"), quota, left_ms))
    return limits


def _token_of(row: Transcription) -> ApiToken | None:
    """The token of the recording; None if it has been deleted, even after `row` was loaded."""
    try:
        return row.token
    except ApiToken.DoesNotExist:
        return None


def _left_ms(row: Transcription, minutes: int, token: ApiToken | None = None) -> int:
    """The limit less what was charged and what other recordings reserve, in milliseconds."""
    charged = ledger.billed_ms(row.owner_id, timezone.now(), token.pk if token else None)
    return minutes * 60_000 - charged - _reserved_ms(row, token)


def _reserved_ms(row: Transcription, token: ApiToken | None = None) -> int:
    """The most that other unfinished recordings will be charged."""
    unfinished = Transcription.objects.filter(owner=row.owner, completed_at=None)
    others = unfinished.filter(state__in=RESERVING_STATES)
    others = others.exclude(id=row.id)
    if token:
        others = others.filter(token=token)
    seconds = others.aggregate(sum=Sum("duration"))["sum"] or 0.0
    return round(seconds * 1000) - metering.charged_ms(others.values("id"))
