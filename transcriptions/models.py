"""The library: recordings, their transcripts, and the states they pass through.

The database is the truth and the queue only a bell. Work on a row belongs to whoever has claimed it
by a conditional UPDATE that hands out a lease; every later change asks for that lease again, so a
task that runs twice, late, or after its row has gone changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.signals import post_delete, pre_delete
from django.dispatch import Signal, receiver
from django.utils import timezone

from gpu.types import Audio, Complete, Metadata, Span, Spent
from gpu.types import Segment as SpokenSegment
from transcriptions import history, metering, search
from transcriptions.corrections import retimed
from transcriptions.history import Phase

FOLDER = "recordings"  # within the storage; names in it begin with the id of their row
KEY_LIFE = timedelta(hours=24)  # how long an idempotency key counts
MAX_ATTEMPTS = 5  # claims of one state: more means that the recording itself kills the worker


# Sent with `row` when it is completed or has failed, inside the transaction that says so: what a
# receiver writes is there if and only if the end is.
ended = Signal()


class LeaseLost(Exception):
    """The row was deleted or cancelled, or its lease ran out and somebody else works on it now."""


class WrongState(Exception):
    """What was asked for cannot be done in the state that the row is in; `str()` says why."""


class ChangedMeanwhile(WrongState):
    """It is not what the caller has read any more."""


class AudioGone(WrongState):
    """What would be worked on is not stored any more."""


class State(models.TextChoices):
    """Where a recording stands."""

    QUEUED = "queued", "Waiting"
    PREPROCESSING = "preprocessing", "Preparing audio"
    PREPARED = "prepared", "Waiting for speech recognition"
    TRANSCRIBING = "transcribing", "Transcribing"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


FINISHED = (State.COMPLETED, State.FAILED, State.CANCELLED)
ENDED_WITHOUT = (State.FAILED, State.CANCELLED)
WAITING_FOR = {State.PREPROCESSING: State.QUEUED, State.TRANSCRIBING: State.PREPARED}
CLAIMED = {State.PREPROCESSING: Phase.PREPROCESS, State.TRANSCRIBING: Phase.ENGINE}
WAITING = {State.PREPROCESSING: Phase.QUEUE, State.TRANSCRIBING: Phase.READY}


def source_path(transcription: Transcription, filename: str) -> str:
    """Where an upload is kept. Its own name and extension are never used: content decides."""
    return f"{FOLDER}/{transcription.id}.source"


def audio_path(transcription: Transcription, filename: str) -> str:
    """Where the prepared WAV is kept."""
    return f"{FOLDER}/{transcription.id}.wav"


def lease_end() -> datetime:
    """When a lease that is given or renewed now will run out."""
    return timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)


class TranscriptionQuerySet(models.QuerySet["Transcription"]):
    """Questions about recordings that more than one place asks."""

    def claim(self, id: uuid.UUID, state: State) -> Transcription | None:
        """Takes the row into `state` with a fresh lease, or None if it is not there to be taken:
        done already, deleted, or in the hands of somebody whose lease still runs."""
        lease = uuid.uuid4()
        free = Q(state=WAITING_FOR[state]) | Q(state=state, lease_until__lt=timezone.now())
        with transaction.atomic():
            took = self.filter(free, id=id).update(
                state=state, lease=lease, lease_until=lease_end(), attempts=F("attempts") + 1
            )
            if not took:
                return None
            row = self.get(id=id)
            metering.interrupted(row, row.settled())  # whoever had it is dead or stuck
            history.began(row, CLAIMED[state], "" if row.attempts == 1 else f"Try {row.attempts}")
            return row

    def forgotten(self) -> models.QuerySet[Transcription]:
        """Unfinished rows that nobody works on: their bell was lost, or their worker has died."""
        return self.exclude(state__in=FINISHED).filter(lease_until__lt=timezone.now())


class Transcription(models.Model):
    """One recording and its way into text. Every change of state is a method here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="transcriptions"
    )
    # By which it was sent; empty: by the pages, or the token is gone.
    token = models.ForeignKey(
        "accounts.ApiToken", null=True, on_delete=models.SET_NULL, related_name="transcriptions"
    )
    title = models.CharField(max_length=255)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    created_at = models.DateTimeField(default=timezone.now)
    completed_at = models.DateTimeField(null=True, blank=True)

    source = models.FileField(upload_to=source_path, max_length=255)
    source_bytes = models.PositiveBigIntegerField()
    audio = models.FileField(upload_to=audio_path, max_length=255, blank=True)
    format = models.CharField(max_length=40, blank=True)  # FFmpeg's name of the container
    duration = models.FloatField(null=True, blank=True)  # seconds
    spans = models.JSONField(default=list)  # speech as [[start, end], ...] in seconds
    peaks = models.JSONField(default=list)  # loudness along the time line, 0 to 100

    requested_language = models.CharField(max_length=8, blank=True)  # empty: detect it
    language = models.CharField(max_length=8, blank=True)
    engine = models.CharField(max_length=20, blank=True)
    model = models.CharField(max_length=100, blank=True)
    decode_seconds = models.FloatField(default=0)
    speech_seconds = models.FloatField(default=0)

    note = models.TextField(blank=True)  # what the owner should know although it worked
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)

    lease = models.UUIDField(null=True, editable=False)
    # For a row that waits: when the bell is rung again.
    lease_until = models.DateTimeField(default=lease_end, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    # What engines have used that no row of the ledger says yet: see `settled`.
    spent_seconds = models.FloatField(default=0, editable=False)
    spent_gpu = models.CharField(max_length=20, blank=True, editable=False)
    spent_queue_seconds = models.FloatField(default=0, editable=False)
    spent_load_seconds = models.FloatField(default=0, editable=False)
    search = SearchVectorField(null=True, editable=False)  # title and text: see search.py

    objects = TranscriptionQuerySet.as_manager()

    # The same since the last segment was stored: only whoever works on it knows.
    spent = Spent(0.0)

    class Meta:
        verbose_name = "recording"
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["owner", "-created_at", "-id"], name="library"),
            models.Index(
                fields=["lease_until"],
                name="forgotten",
                condition=~Q(state__in=[State.COMPLETED, State.FAILED, State.CANCELLED]),
            ),
            GinIndex(fields=["search"], name="words"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_finished(self) -> bool:
        """Whether nothing will change any more by itself."""
        return self.state in FINISHED

    @property
    def can_be_retried(self) -> bool:
        """Whether it ended without a transcript, and there is something left to work on."""
        return self.state in ENDED_WITHOUT and bool(self.source or self.audio)

    @property
    def text(self) -> str:
        """The whole transcript."""
        return " ".join(segment.text for segment in self.segments.all())

    def to_audio(self, path: Any) -> Audio:
        """What an engine needs to know about this recording, whose WAV lies at `path`."""
        spans = tuple(Span(start, end) for start, end in self.spans)
        language = self.language or self.requested_language or None
        return Audio(path, self.duration or 0.0, spans, language)

    # --- Changes of state, each one short transaction ------------------------------------------

    def ensure_held(self) -> None:
        """Raises LeaseLost if the claim is not ours any more."""
        if not self._held().exists():
            raise LeaseLost(str(self.id))

    def renew(self) -> None:
        """Keeps the claim. Raises LeaseLost."""
        self._update(lease_until=lease_end())

    def release(self) -> None:
        """Gives the claim back unfinished, to be taken up again by whoever hears the bell next."""
        with transaction.atomic():
            self._update(lease_until=timezone.now(), attempts=F("attempts") - 1)
            metering.interrupted(self, self.settled())
            history.began(self, WAITING[State(self.state)], "Handed back: its worker stopped")

    def put_off(self, reason: str, seconds: float, tried: bool = True) -> None:
        """Gives the claim back, to be tried again after a while; what was not even tried is no
        attempt. Raises LeaseLost."""
        state = State(self.state)
        with transaction.atomic():
            later = timezone.now() + timedelta(seconds=seconds)
            attempts = F("attempts") - (0 if tried else 1)
            self._update(state=WAITING_FOR[state], lease_until=later, attempts=attempts)
            metering.interrupted(self, self.settled())
            history.began(self, WAITING[state], f"Put off: {reason}")

    def prepared(
        self,
        *,
        audio: str,
        format: str,
        duration: float,
        spans: Iterable[Span],
        peaks: list[int],
        note: str,
    ) -> None:
        """The audio is ready for an engine. Raises LeaseLost."""
        with transaction.atomic():
            self._update(
                state=State.PREPARED,
                audio=audio,
                format=format,
                duration=duration,
                spans=[[s.start, s.end] for s in spans],
                peaks=peaks,
                note=note,
                attempts=0,
            )
            history.began(self, Phase.READY)

    def given_to(self, engine: str) -> None:
        """An engine is asked: what is used from now on is its own. Raises LeaseLost."""
        if self.engine != engine:
            self._update(engine=engine, model="")

    def started(self, engine: str, metadata: Metadata) -> None:
        """The engine has looked at the audio. Raises LeaseLost."""
        with transaction.atomic():
            self._update(engine=engine, model=metadata.model, language=metadata.language)
            self.index()  # its words are looked for in its language from now on
            history.began(self, Phase.DECODE, f"{engine}: {metadata.model}")

    def add_segment(self, spoken: SpokenSegment) -> Segment:
        """Stores the next segment, renews the lease with it, and keeps what was used until now.
        Raises LeaseLost."""
        with transaction.atomic():
            self._update(  # first: it locks the row, so numbers cannot collide
                lease_until=lease_end(),
                spent_seconds=F("spent_seconds") + self.spent.decode_seconds,
                spent_gpu=self.spent.gpu,
                spent_queue_seconds=F("spent_queue_seconds") + self.spent.queue_seconds,
                spent_load_seconds=F("spent_load_seconds") + self.spent.load_seconds,
            )
            last = self.segments.order_by("-number").values_list("number", flat=True).first()
            segment = self.segments.create(
                number=(last or 0) + 1,
                start=spoken.start,
                end=spoken.end,
                text=spoken.text,
                words=[
                    {"start": w.start, "end": w.end, "text": w.text}
                    | ({"glued": True} if w.glued else {})
                    for w in spoken.words
                ],
            )
        self.spent = Spent(0.0)
        return segment

    def completed(self, meter: Complete) -> None:
        """All words are there. Raises LeaseLost."""
        with transaction.atomic():
            self.renew()
            note = self.note
            if not self.segments.exists():
                note = f"No speech was found in this recording. {note}".strip()
            self._update(
                state=State.COMPLETED,
                completed_at=timezone.now(),
                note=note,
                decode_seconds=F("decode_seconds") + meter.decode_seconds,
                speech_seconds=F("speech_seconds") + meter.audio_seconds,
            )
            self.index()
            history.began(self, Phase.COMPLETED, at=self.completed_at)
            self.settled()  # the meter says it all
            metering.completed(self, meter)
            ended.send(type(self), row=self)

    def failed(self, code: str, message: str) -> None:
        """It cannot be done, and `message` says why to its owner. Raises LeaseLost."""
        with transaction.atomic():
            self._update(
                state=State.FAILED,
                completed_at=timezone.now(),
                error_code=code,
                error_message=message,
            )
            self.index()
            history.began(self, Phase.FAILED, code, at=self.completed_at)
            metering.failed(self, self.settled())
            ended.send(type(self), row=self)

    def cancelled(self) -> None:
        """Its owner does not want it any more; whoever works on it loses the lease. Raises
        WrongState."""
        with transaction.atomic():
            self._turn(
                Q(state__in=FINISHED),
                "It has ended already: there is nothing to cancel.",
                state=State.CANCELLED,
                completed_at=timezone.now(),
                error_code="cancelled",
                error_message="The transcription was cancelled.",
                lease=None,
            )
            self.index()
            history.began(self, Phase.CANCELLED, at=self.completed_at)
            metering.cancelled(self, self.settled())

    def requeued(self) -> None:
        """Once more, after a failure or a cancellation. What is done already is not done again.
        Raises WrongState, AudioGone."""
        with transaction.atomic():
            with suppress(type(self).DoesNotExist):  # held, or its audio may go just now
                self.refresh_from_db(from_queryset=type(self).objects.select_for_update())
            if self.state in ENDED_WITHOUT and not self.can_be_retried:
                raise AudioGone("The recording itself is not stored any more: upload it again.")
            self._turn(
                ~Q(state__in=ENDED_WITHOUT),
                "Only what has failed or was cancelled can be tried again.",
                state=State.PREPARED if self.audio else State.QUEUED,
                completed_at=None,
                error_code="",
                error_message="",
                lease=None,
                lease_until=lease_end(),
                attempts=0,
            )
            history.began(self, Phase.READY if self.audio else Phase.QUEUE, "Tried again")

    def settled(self) -> Spent:
        """What was used and is in no row of the ledger yet. From now on it is the caller's, to be
        written down in the same transaction."""
        kept = (self.spent_seconds, self.spent_gpu)
        used = Spent(*kept, self.spent_queue_seconds, self.spent_load_seconds) + self.spent
        self.spent = Spent(0.0)
        if used:
            type(self).objects.filter(id=self.id).update(
                spent_seconds=0, spent_gpu="", spent_queue_seconds=0, spent_load_seconds=0
            )
        return used

    def _turn(self, unless: Q, reason: str, **values: Any) -> None:
        """A change of state that needs no lease."""
        if not type(self).objects.filter(id=self.id).exclude(unless).update(**values):
            raise WrongState(reason)
        self.refresh_from_db()

    def _update(self, **values: Any) -> None:
        if not self._held().update(**values):
            raise LeaseLost(str(self.id))
        self.refresh_from_db()

    def _held(self) -> models.QuerySet[Transcription]:
        held = type(self).objects.filter(id=self.id, lease=self.lease)
        return held.exclude(state__in=FINISHED)

    # --- Changes by its owner ------------------------------------------------------------------

    def rename(self, title: str) -> None:
        """Gives it another title."""
        with transaction.atomic():
            type(self).objects.filter(id=self.id).update(title=title)
            self.title = title
            self.index()

    def correct(self, number: int, text: str, was: str | None = None) -> Segment:
        """Replaces the text of a segment; its words keep their times where they are the same.

        Raises WrongState before the transcript is completed, ChangedMeanwhile if the text is not
        what it `was`, and Segment.DoesNotExist.
        """
        with transaction.atomic():
            row = type(self).objects.select_for_update().get(id=self.id)
            if row.state != State.COMPLETED:
                raise WrongState("Segments can be corrected when the transcript is completed.")
            segment = row.segments.get(number=number)
            if was is not None and segment.text.split() not in (was.split(), text.split()):
                raise ChangedMeanwhile(f"It was changed meanwhile, to “{segment.text}”.")
            segment.words = retimed(segment.words, text, segment.start, segment.end)
            segment.text = text
            segment.save(update_fields=["text", "words"])
            row.index()
            return segment

    def index(self) -> None:
        """Makes title and text searchable as they are now."""
        search.index(type(self).objects.filter(id=self.id), self.title, self.text, self.language)

    def forget_audio(self) -> None:
        """Deletes the recording itself, as it was sent and as it was prepared; its words stay.
        Raises WrongState if it is being worked on."""
        with transaction.atomic():
            ended = type(self).objects.filter(id=self.id, state__in=FINISHED)
            if not ended.update(source="", audio=""):
                raise WrongState("It is being worked on.")
            _delete_files(self)


@receiver(pre_delete, sender=Transcription)
def _stop(instance: Transcription, **_: Any) -> None:
    """Whoever works on it notices at its next step; what was read of it by now is charged."""
    with suppress(WrongState):
        instance.cancelled()


@receiver(post_delete, sender=Transcription)
def _delete_files(instance: Transcription, **_: Any) -> None:
    """Whatever deletes the row, be it the end of its owner's account, takes its files along, as
    soon as no row names them. What cannot be deleted just then is found by strays.py."""
    for file in (instance.source, instance.audio):
        if file.name:
            transaction.on_commit(partial(file.storage.delete, file.name), robust=True)


class Segment(models.Model):
    """A sentence or so of a transcript."""

    transcription = models.ForeignKey(
        Transcription, on_delete=models.CASCADE, related_name="segments"
    )
    number = models.PositiveIntegerField()  # 1, 2, 3, ... within its transcription
    start = models.FloatField()  # seconds
    end = models.FloatField()
    text = models.TextField()
    words = models.JSONField(default=list)  # [{"start", "end", "text"}, ...]

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["transcription", "number"], name="segment_number"),
        ]

    def __str__(self) -> str:
        return self.text


class IdempotencyKey(models.Model):
    """A create that must happen once, however often it is sent."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # SHA-256 of the request
    # Empty once the recording has been deleted: the key must not bring it back.
    transcription = models.ForeignKey(Transcription, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "key"], name="idempotency_key"),
        ]

    def __str__(self) -> str:
        return self.key
