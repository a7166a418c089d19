"""How many recordings may wait, in the whole installation and for one account.

Concurrent uploads of different accounts may exceed the limit of the installation by a few, because
accounts share no lock.
"""

from __future__ import annotations

import math
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from accounts.models import Outcome, UsageRecord, User
from accounts.rate_limits import Throttled
from transcriptions.models import WAITING, DiarizationJob, Transcription

THROUGHPUT_WINDOW = timedelta(minutes=5)
MIN_RETRY_S, MAX_RETRY_S = 5, 600
# Clients are asked to come back when this share of the queue has been processed: if all came back
# for the next free place, all but one would be refused again.
SHARE_PROCESSED = 0.01


class AccountQueueFull(Throttled):
    """The limit of waiting recordings of the account has been reached."""

    code = "account_queue_full"


class QueueFull(Throttled):
    """The limit of waiting recordings of all accounts has been reached. Not the fault of this
    account."""

    code = "queue_full"
    status = 503


def check_queues(row: Transcription) -> None:
    """Check whether this new or resumed recording may wait. Raises AccountQueueFull, QueueFull."""
    # No `order_by`, so that nothing is sorted.
    waiting = Transcription.objects.filter(state__in=WAITING).exclude(id=row.id)
    limit = settings.MAX_WAITING_PER_ACCOUNT
    if waiting.filter(owner=row.owner)[:limit].count() >= limit:
        message = _(
            "%(count)s of your recordings are waiting, which is the limit. "
            "Upload more when some of them have been processed."
        ) % {"count": number_format(limit, use_l10n=True, force_grouping=True)}
        raise AccountQueueFull(message, _retry_after_s(limit, row.owner))
    limit = settings.MAX_WAITING
    if waiting[:limit].count() >= limit:
        message = _("Too many recordings are waiting at the moment. Try again later.")
        raise QueueFull(message, _retry_after_s(limit))


def check_diarization_jobs(owner: User) -> None:
    """Check whether another recording of the account may wait for its speakers. Raises
    AccountQueueFull."""
    limit = settings.MAX_WAITING_PER_ACCOUNT
    jobs = DiarizationJob.objects.under_way().filter(transcription__owner=owner)
    if jobs[:limit].count() >= limit:
        message = _(
            "%(count)s of your recordings are waiting for speaker detection, which is the "
            "limit. Try again when some of them have been processed."
        ) % {"count": number_format(limit, use_l10n=True, force_grouping=True)}
        raise AccountQueueFull(message, MAX_RETRY_S)


def _retry_after_s(limit: int, owner: User | None = None) -> int:
    """Seconds until there is room, if recordings are processed as fast as recently."""
    finished = UsageRecord.objects.filter(
        created_at__gte=timezone.now() - THROUGHPUT_WINDOW,
        outcome__in=(Outcome.COMPLETED, Outcome.FAILED),
        **({"user": owner} if owner else {}),
    ).count()
    places = max(1, limit * SHARE_PROCESSED)
    seconds = places * THROUGHPUT_WINDOW.total_seconds() / finished if finished else MAX_RETRY_S
    return min(MAX_RETRY_S, max(MIN_RETRY_S, math.ceil(seconds)))
