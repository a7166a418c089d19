"""Subtitle profiles of users."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

MAX_NAME_CHARS = 40


class SubtitleProfile(models.Model):
    """A user's own norms for subtitles."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=MAX_NAME_CHARS)
    norms = models.JSONField()  # the fields of exports.profiles.Profile, without its name

    class Meta:
        ordering: ClassVar = [Lower("name")]
        constraints: ClassVar = [
            models.UniqueConstraint(Lower("name"), "owner", name="subtitle_profile_name"),
        ]

    def __str__(self) -> str:
        return self.name
