"""How a speaker who may be two people could be split."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _

from transcriptions.models.transcription import Transcription
from transcriptions.models.voice_request import VoiceRequest, VoiceRequestQuerySet


class SplitProposalQuerySet(VoiceRequestQuerySet["SplitProposal"]):
    """Queries of proposals."""

    def waiting(self) -> Self:
        """Proposals without a result, including those that a worker has."""
        return self.filter(segments__isnull=True, error="")


class SplitProposal(VoiceRequest):
    """A request to find the segments of a speaker in which another voice speaks. No data about
    voices is stored."""

    transcription = models.ForeignKey(
        Transcription, on_delete=models.CASCADE, related_name="split_proposals"
    )
    number = models.PositiveSmallIntegerField()  # of the speaker
    revision = models.PositiveIntegerField()  # of the transcript that it is about
    # Numbers of the segments that a new speaker would get; null until they are known.
    segments = ArrayField(models.PositiveIntegerField(), null=True)
    is_clear = models.BooleanField(default=False)  # whether two voices are likely
    error = models.TextField(blank=True)  # for the owner

    objects = SplitProposalQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["transcription", "number"], name="split_proposal_of_speaker"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["id"],
                name="split_proposal_waiting",
                condition=Q(segments__isnull=True, error=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.transcription_id} {self.number}"

    @property
    def usage_reason(self) -> str:
        """What the ledger says about the usage."""
        return _("Voices compared. Not charged.")

    @property
    def state(self) -> Literal["waiting", "ready", "failed"]:
        """The state of the proposal."""
        if self.error:
            return "failed"
        return "waiting" if self.segments is None else "ready"
