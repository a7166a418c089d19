"""Sentences that say what a shorter retention period deletes, before it is saved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import ngettext

from accounts.models import User
from transcriptions import durations
from transcriptions.models import FINISHED, Transcription
from transcriptions.usage.retention import RetentionPolicy


@dataclass(frozen=True, slots=True)
class Expiring:
    """Recordings or audio files that a period of `days` deletes: now, and later."""

    days: int
    now: int
    seconds_now: float
    later: int
    next_at: datetime | None  # the first of those later

    @classmethod
    def of(cls, rows: QuerySet[Transcription], days: int) -> Expiring:
        """Count `rows` with their audio, by whether they are older than `days`."""
        is_older = Q(created_at__lt=_oldest(days))
        sums = rows.aggregate(
            now=Count("id", filter=is_older),
            seconds=Sum("duration", filter=is_older),
            later=Count("id", filter=~is_older),
            oldest=Min("created_at", filter=~is_older),
        )
        next_at = sums["oldest"] and sums["oldest"] + timedelta(days=days)
        return cls(days, sums["now"], sums["seconds"] or 0.0, sums["later"], next_at)


def deletions_of(user: User, before: RetentionPolicy, after: RetentionPolicy) -> list[str]:
    """The recordings of `user` that `after` deletes and that `before` would have kept for
    longer."""
    finished = user.transcriptions.filter(state__in=FINISHED)
    lines: list[str] = []
    if after.everything is not None and _is_shorter(after.everything, before.everything):
        lines += _about_recordings(Expiring.of(finished, after.everything))
        finished = finished.filter(created_at__gte=_oldest(after.everything))
    audio = None if after.audio == after.everything else after.audio
    if audio is not None and _is_shorter(audio, before.audio):
        lines += _about_audio(Expiring.of(finished.exclude(source=""), audio))
    return lines


def _is_shorter(days: int, than: int | None) -> bool:
    return than is None or days < than


def _oldest(days: int) -> datetime:
    """The creation time of recordings that are now this old."""
    return timezone.now() - timedelta(days=days)


def _about_recordings(expiring: Expiring) -> list[str]:
    now = ngettext(
        "%(count)d recording with its transcript (%(length)s of audio) is older than %(days)s and "
        "will be deleted within an hour.",
        "%(count)d recordings with their transcripts (%(length)s of audio) are older than %(days)s "
        "and will be deleted within an hour.",
        expiring.now,
    )
    later = ngettext(
        "%(count)d recording will be deleted on %(date)s, when it is %(days)s old.",
        "%(count)d recordings will be deleted when they are %(days)s old, the first on %(date)s.",
        expiring.later,
    )
    return _lines(expiring, now, later)


def _about_audio(expiring: Expiring) -> list[str]:
    now = ngettext(
        "The audio of %(count)d recording (%(length)s) is older than %(days)s and will be deleted "
        "within an hour. Its transcript stays.",
        "The audio of %(count)d recordings (%(length)s) is older than %(days)s and will be deleted "
        "within an hour. Their transcripts stay.",
        expiring.now,
    )
    later = ngettext(
        "The audio of %(count)d recording will be deleted on %(date)s, when it is %(days)s old.",
        "The audio of %(count)d recordings will be deleted when it is %(days)s old, the first on "
        "%(date)s.",
        expiring.later,
    )
    return _lines(expiring, now, later)


def _lines(expiring: Expiring, now: str, later: str) -> list[str]:
    days = ngettext("%(days)d day", "%(days)d days", expiring.days) % {"days": expiring.days}
    length = durations.units(expiring.seconds_now)
    lines = []
    if expiring.now:
        lines.append(now % {"count": expiring.now, "length": length, "days": days})
    if expiring.next_at:
        date = date_format(expiring.next_at, "DATE_FORMAT")
        lines.append(later % {"count": expiring.later, "date": date, "days": days})
    return lines
