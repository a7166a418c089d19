"""Recordings and their transcripts."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models import OuterRef, Q, Subquery
from django.db.models.expressions import CombinedExpression
from django.db.models.fields.files import FieldFile
from django.db.models.functions import Coalesce, Now
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from gpu.joining import join
from gpu.types import Audio, UsageDelta
from transcriptions.models.options import Options
from transcriptions.models.passage import Passage
from transcriptions.models.scheduling import Priority
from transcriptions.models.state import (
    FINISHED,
    UNSUCCESSFUL,
    WAITING,
    WORKING,
    LiveState,
    State,
)

QUEUE_ORDER = ("priority", "virtual_start", "created_at")
STORAGE_FOLDER = "recordings"  # within the storage; file names start with the id of their row


def source_name(transcription_id: uuid.UUID) -> str:
    """The name of an upload in the storage. The client's file name is never used."""
    return f"{STORAGE_FOLDER}/{transcription_id}.source"


def source_path(transcription: Transcription, filename: str) -> str:
    """Where an upload is stored."""
    return source_name(transcription.id)


def audio_path(transcription: Transcription, filename: str) -> str:
    """Where the prepared WAV is stored until processing ends."""
    return f"{STORAGE_FOLDER}/{transcription.id}.wav"


class TranscriptionQuerySet(models.QuerySet["Transcription"]):
    """Queries that more than one module needs."""

    def with_live_lease(self) -> models.QuerySet[Transcription]:
        """Rows on which a worker is working."""
        rows = self.filter(lease__isnull=False).alias(lease_until=_lease_until())
        return rows.filter(lease_until__range=live_lease_ends())

    def with_expired_lease(self) -> models.QuerySet[Transcription]:
        """Rows whose worker has died or hangs."""
        rows = self.filter(lease__isnull=False).alias(lease_until=_lease_until())
        return rows.exclude(lease_until__range=live_lease_ends())

    def due(self, state: State) -> models.QuerySet[Transcription]:
        """Rows that wait in `state`, without those that wait for a later time."""
        rows = self.filter(state=state).alias(lease_until=_lease_until())
        return rows.filter(lease_until__lte=Now())

    def waiting(self) -> models.QuerySet[Transcription]:
        """Rows that wait for a worker, in the order in which their turns come. A live recording
        takes no turn."""
        rows = self.filter(state__in=WAITING, priority__gt=Priority.LIVE)
        return rows.order_by(*QUEUE_ORDER)

    def before(self, row: Transcription) -> models.QuerySet[Transcription]:
        """Waiting rows whose turn comes before that of a waiting one."""
        sooner = Q(priority=row.priority, virtual_start__lt=row.virtual_start)
        return self.waiting().filter(Q(priority__lt=row.priority) | sooner)


def _lease_until() -> Coalesce:
    """`lease_until` of a row's progress; now if it is null. This is a subquery, which PostgreSQL
    evaluates for each row that it considers. With a join it has to guess the order: with outdated
    statistics, it read all waiting rows for each claim.
    """
    progress = apps.get_model("transcriptions", "Progress").objects
    own = progress.filter(transcription=OuterRef("pk")).values("lease_until")
    return Coalesce(Subquery(own), Now())


def live_lease_ends() -> tuple[Now, CombinedExpression]:
    """The range in which an unexpired lease ends. If one ends later than any lease can, the clock
    was set back."""
    return Now(), Now() + timedelta(seconds=2 * settings.LEASE_SECONDS)


class Transcription(models.Model):
    """One recording and its transcript."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="transcriptions"
    )
    # The token that uploaded it; null: uploaded in the web app, or the token was deleted.
    token = models.ForeignKey(
        "accounts.ApiToken", null=True, on_delete=models.SET_NULL, related_name="transcriptions"
    )
    title = models.CharField(max_length=255)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    created_at = models.DateTimeField(default=timezone.now)
    completed_at = models.DateTimeField(null=True, blank=True)
    priority = models.PositiveSmallIntegerField(
        choices=Priority, default=Priority.INTERACTIVE, db_default=Priority.INTERACTIVE
    )
    # Waiting recordings of a priority take turns in this order: see processing/turns.py.
    virtual_start = models.FloatField(default=0.0, db_default=0.0, editable=False)

    source = models.FileField(upload_to=source_path, max_length=255)
    source_bytes = models.PositiveBigIntegerField()
    audio = models.FileField(upload_to=audio_path, max_length=255, blank=True)
    format = models.CharField(max_length=40, blank=True)  # FFmpeg's name of the container
    duration = models.FloatField(null=True, blank=True)  # seconds
    # Its audio tracks, as in TrackOut. Empty until the audio is prepared.
    tracks = models.JSONField(default=list, db_default=[])

    requested_language = models.CharField(max_length=8, blank=True)  # empty: detect it
    language = models.CharField(max_length=8, blank=True)
    # All languages that were spoken, the first one first. Empty until processing has ended.
    languages = ArrayField(models.CharField(max_length=8), default=list, db_default=[])
    stored_options = models.JSONField(default=dict, db_default={}, db_column="options")
    engine = models.CharField(max_length=20, blank=True)
    model = models.CharField(max_length=100, blank=True)
    decode_seconds = models.FloatField(default=0)
    speech_seconds = models.FloatField(default=0)

    # An earlier recognition of the same recording: its edits are carried over to this one.
    previous = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="recognized_again"
    )
    note = models.TextField(blank=True)  # a remark for the owner about a successful transcript
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)

    # Of the request that last queued it, for the logs of its processing.
    request_id = models.CharField(
        max_length=128, blank=True, default="", db_default="", editable=False
    )
    lease = models.UUIDField(null=True, editable=False)  # null: no worker has it
    worker = models.CharField(max_length=255, blank=True, editable=False)  # Celery's name of it
    claimed_at = models.DateTimeField(null=True, editable=False)  # for the last time
    # Failed attempts and workers that died or hung, since the last progress.
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    interruptions = models.PositiveSmallIntegerField(default=0, editable=False)

    objects = TranscriptionQuerySet.as_manager()

    # Usage since the last stored segment, only in memory of the worker that holds the lease.
    unsaved_usage = UsageDelta(0.0)
    # Its position among the waiting rows, if it was read for a whole page of them.
    known_position: int | None = None
    passage: Passage | None = None  # that a search has found

    class Meta:
        verbose_name = _("recording")
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["owner", "-created_at", "-id"], name="owner_newest_first"),
            models.Index(fields=["owner", "language"], name="owner_language"),
            models.Index(
                fields=["state", *QUEUE_ORDER],
                name="waiting_by_turn",
                condition=Q(state__in=WAITING),
            ),
            models.Index(
                fields=["owner"],
                name="unfinished_of_owner",
                # Without the state: with outdated statistics, PostgreSQL would use this index to
                # find the next waiting row of any owner.
                condition=Q(completed_at__isnull=True),
            ),
            models.Index(fields=["owner"], name="leased", condition=Q(lease__isnull=False)),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state__in=FINISHED, completed_at__isnull=False)
                | (~Q(state__in=FINISHED) & Q(completed_at__isnull=True)),
                name="finished_has_completed_at",
            ),
            models.CheckConstraint(
                condition=Q(state__in=WORKING) & Q(lease__isnull=False)
                | ~Q(state__in=WORKING) & Q(lease__isnull=True),
                name="lease_exactly_while_working",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_finished(self) -> bool:
        """Whether processing has ended."""
        return self.state in FINISHED

    @property
    def is_live(self) -> bool:
        """Whether it is still being recorded: see LiveSession."""
        return self.priority == Priority.LIVE

    @property
    def shown_state(self) -> State | LiveState:
        """The state as users see it. Costs a query while the recording is live."""
        if not self.is_live or self.is_finished:
            return State(self.state)
        if self.live.ended_at is not None:
            return LiveState.FINISHING
        return LiveState.PAUSED if self.live.parked_at else LiveState.RECORDING

    @property
    def has_transcript(self) -> bool:
        """Whether there is a text that can be exported and edited: all of it, or the part that was
        recognized before processing failed or was cancelled."""
        return self.state == State.COMPLETED or (self.is_finished and self.segments.exists())

    @property
    def queue_position(self) -> int | None:
        """Its position among all waiting recordings, from 1; None if it does not wait. Costs a
        query unless `set_queue_positions` has set it."""
        if self.state not in WAITING or self.is_live:
            return None
        return self.known_position or Transcription.objects.before(self).count() + 1

    @property
    def can_be_retried(self) -> bool:
        """Whether it failed or was cancelled, and the upload is still stored."""
        return self.state in UNSUCCESSFUL and bool(self.source)

    @property
    def options(self) -> Options:
        """The options that its owner chose."""
        return Options.of(self.stored_options)

    @property
    def text(self) -> str:
        """The whole transcript."""
        return join(self.segments.values_list("text", flat=True))

    @property
    def segment_count(self) -> int:
        """The number of the last segment: numbers have no gaps."""
        numbers = self.segments.order_by("-number").values_list("number", flat=True)
        return numbers.first() or 0

    def to_audio(self, path: Path) -> Audio:
        """The input for an engine. `path` is the prepared WAV. Reads the spans of speech.

        A detected language is not passed on: it may change where recognition continues.
        """
        language, options = self.requested_language or None, self.options.for_engine()
        return Audio(path, self.duration or 0.0, self.analysis.speech, language, options)


@receiver(post_delete, sender=Transcription)
def delete_files(instance: Transcription, **kwargs: Any) -> None:
    """Delete the files of a deleted row after commit, including when its owner's account is
    deleted."""
    for file in (instance.source, instance.audio):
        delete_after_commit(file)


def delete_after_commit(file: FieldFile) -> None:
    """Delete a file of a row, if it has one. If that fails, or the answer to the COMMIT is lost,
    it will be found later as an orphaned file."""
    if file.name:
        transaction.on_commit(partial(file.storage.delete, file.name), robust=True)
