"""Emails that wait to be sent."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class OutgoingEmail(models.Model):
    """An email to one address, which is deleted once it is sent.

    It is stored in the database, in the transaction of the change that it reports, because the
    broker may lose its messages.
    """

    to = models.EmailField()
    sender = models.CharField(max_length=320)
    subject = models.TextField()
    text = models.TextField()
    html = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now(), db_index=True)  # of the next attempt
    attempts = models.PositiveSmallIntegerField(default=0)

    objects: ClassVar[models.Manager[OutgoingEmail]] = models.Manager()

    def __str__(self) -> str:
        return f"Email {self.pk}"  # neither the address nor the subject, for logs
