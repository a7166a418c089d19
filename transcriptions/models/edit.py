"""The changes that users have made to a transcript."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcriptions.models.transcription import Transcription


class EditKind(models.TextChoices):
    """The kind of a change."""

    TEXT = "text", _("Text edited")
    SPEAKERS = "speakers", _("Speakers changed")
    DETECTION = "detection", _("Speakers detected")
    IMPORT = "import", _("Text imported")
    RESTORE = "restore", _("Earlier version restored")
    UNDO = "undo", _("Change undone")
    REDO = "redo", _("Change redone")


class EditStatus(models.TextChoices):
    """Whether a change is applied, undone, or discarded."""

    APPLIED = "applied"
    UNDONE = "undone"
    DISCARDED = "discarded"  # it was undone, and something else was changed afterwards


class Edit(models.Model):
    """One change of a transcript, in a log to which rows are only added: an undone change is
    followed by its opposite. So every earlier version can be computed from the present one."""

    transcription = models.ForeignKey(Transcription, on_delete=models.CASCADE, related_name="edits")
    revision = models.PositiveIntegerField()  # of the transcript with this change: 1, 2, 3, ...
    created_at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=16, choices=EditKind)
    # Null: it undoes or redoes another one.
    status = models.CharField(max_length=16, choices=EditStatus, null=True)  # noqa: DJ001
    # [{"from", "before": [segment, ...], "after": [segment, ...]}, ...] in order of `from`, which
    # is the number of the first segment before the change. Segments as in editing.snapshots.
    changes = models.JSONField(default=list)
    # {"before": {number: name}, "after": {number: name}} of all speakers; null: unchanged.
    speakers = models.JSONField(null=True)

    class Meta:
        ordering: ClassVar = ["revision"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["transcription", "revision"], name="edit_revision"),
        ]

    def __str__(self) -> str:
        return f"{self.transcription_id} {self.revision}"
