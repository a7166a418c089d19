"""What preprocessing has found in the audio of a recording."""

from __future__ import annotations

from django.db import models

from transcriptions.models.transcription import Transcription


class AudioAnalysis(models.Model):
    """Speech and loudness of one recording: a row exists once its audio was prepared.

    Only the engine and the waveform on the page need these large columns.
    """

    transcription = models.OneToOneField(
        Transcription, models.CASCADE, primary_key=True, related_name="analysis"
    )
    # Speech as [[start, end], ...] in seconds, or [[start, end, channel], ...].
    spans = models.JSONField(default=list)
    peaks = models.JSONField(default=list)  # loudness along the time line, 0 to 100

    def __str__(self) -> str:
        return str(self.transcription_id)
