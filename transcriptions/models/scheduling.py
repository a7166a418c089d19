"""Priorities, and what the scheduler remembers: see `transcriptions.processing.turns`."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from transcriptions.models.state import State


class Priority(models.IntegerChoices):
    """Recordings with a lower number go first. Live recordings wait for no other: they have their
    own workers."""

    LIVE = 0, _("Live")
    INTERACTIVE = 1, _("Interactive")
    BATCH = 2, _("Batch")


class AccountQueue(models.Model):
    """The recordings of one account with one priority."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="queues"
    )
    priority = models.PositiveSmallIntegerField(choices=Priority)
    next_start = models.FloatField(default=0.0)  # the virtual start of the next recording

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "priority"], name="queue_of_account"),
        ]

    def __str__(self) -> str:
        return f"{self.owner_id}: {self.get_priority_display()}"


class PriorityQueue(models.Model):
    """All recordings with one priority that wait in one state."""

    state = models.CharField(max_length=16, choices=State)
    priority = models.PositiveSmallIntegerField(choices=Priority)
    virtual_time = models.FloatField(default=0.0)  # the latest virtual start that was claimed
    passed_over = models.PositiveIntegerField(default=0)  # claims of others since its last one

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["state", "priority"], name="queue_of_priority"),
        ]

    def __str__(self) -> str:
        return f"{self.state}: {self.get_priority_display()}"
