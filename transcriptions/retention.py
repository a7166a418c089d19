"""How long recordings are kept: as long as their owner wants, and no longer than the plan says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.audit import Action, note
from accounts.models import Plan, User
from transcriptions.models import FINISHED, Transcription

FOR_GOOD = 36_500  # days; whoever says that many, or more, means it


@dataclass(frozen=True, slots=True)
class Terms:
    """Days after the upload; None: for good."""

    audio: int | None
    everything: int | None

    @classmethod
    def of(cls, user: User) -> Terms:
        """The shorter of what the user and the plan want."""
        everything = _shorter(user.keep_days, user.terms.max_keep_days)
        return cls(_shorter(user.keep_audio_days, everything), everything)

    def audio_until(self, row: Transcription) -> datetime | None:
        """When the audio of a recording will be deleted."""
        return _after(row, self.audio)

    def until(self, row: Transcription) -> datetime | None:
        """When all of it will be deleted."""
        return _after(row, self.everything)


def sweep() -> None:
    """Deletes what has been kept long enough. What is still worked on is left alone."""
    now = timezone.now()
    for user in _with_terms():
        terms = Terms.of(user)
        rows = Transcription.objects.filter(owner=user, state__in=FINISHED).defer("search")
        if terms.everything is not None:
            for row in rows.filter(created_at__lt=now - timedelta(days=terms.everything)):
                _end(row, row.delete, row.title)
        if terms.audio is not None:
            old = rows.filter(created_at__lt=now - timedelta(days=terms.audio))
            for row in old.exclude(source="", audio=""):
                _end(row, row.forget_audio, f"The audio of {row.title}")


def _end(row: Transcription, deletion: Callable[[], object], what: str) -> None:
    """Deletes and tells, or neither: not if it is worked on again since it was looked for."""
    with transaction.atomic():
        ended = Transcription.objects.select_for_update().filter(id=row.id, state__in=FINISHED)
        if not ended.exists():
            return
        deletion()
        note(None, Action.DELETED, f"{what} (kept long enough)", user_id=row.owner_id)


def _with_terms() -> Iterator[User]:
    """Those of whose recordings anything is ever deleted."""
    wanted = Q(keep_days__isnull=False) | Q(keep_audio_days__isnull=False)
    wanted |= Q(plan__max_keep_days__isnull=False)
    if Plan.objects.filter(is_default=True, max_keep_days__isnull=False).exists():
        wanted |= Q(plan=None)
    return User.objects.filter(wanted).select_related("plan").iterator()


def _shorter(*days: int | None) -> int | None:
    return min((day for day in days if day is not None and day < FOR_GOOD), default=None)


def _after(row: Transcription, days: int | None) -> datetime | None:
    return None if days is None else row.created_at + timedelta(days=days)
