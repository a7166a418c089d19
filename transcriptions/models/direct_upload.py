"""Uploads that clients send to the object storage in parts."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from transcriptions.models.scheduling import Priority
from transcriptions.models.transcription import source_name


class DirectUpload(models.Model):
    """An incomplete upload. When it is complete, it becomes the recording with the same id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="direct_uploads"
    )
    # The token that began it; null: begun in the web app, or the token was deleted.
    token = models.ForeignKey("accounts.ApiToken", null=True, on_delete=models.SET_NULL)
    title = models.CharField(max_length=255)
    requested_language = models.CharField(max_length=8, blank=True)
    priority = models.PositiveSmallIntegerField(choices=Priority)
    stored_options = models.JSONField(default=dict, db_default={}, db_column="options")
    bytes = models.PositiveBigIntegerField()  # as declared by the client
    part_bytes = models.PositiveBigIntegerField()  # of all parts but the last
    storage_id = models.CharField(max_length=1024, blank=True)  # the storage's id of the upload
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.title

    @property
    def name(self) -> str:
        """The name of its file in the storage, which is that of the recording."""
        return source_name(self.id)

    @property
    def part_count(self) -> int:
        """The number of parts."""
        return -(-self.bytes // self.part_bytes)

    def length_of(self, number: int) -> int:
        """The bytes of a part, counted from 1."""
        return min(self.part_bytes, self.bytes - (number - 1) * self.part_bytes)
