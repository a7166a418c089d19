"""What preprocessing has found in the audio of a recording."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models

from gpu.types import Span
from transcriptions.models.transcription import Transcription


class AudioAnalysis(models.Model):
    """Speech and loudness of one recording: a row exists once its audio was prepared.

    Only the engine and the waveform on the page need these large columns.
    """

    transcription = models.OneToOneField(
        Transcription, models.CASCADE, primary_key=True, related_name="analysis"
    )
    # Whether only the opening of a long recording is prepared: see processing/openings.py.
    is_opening = models.BooleanField(default=False, db_default=False)
    # Speech as [[start, end], ...] in seconds, or [[start, end, channel], ...].
    spans = models.JSONField(default=list)
    peaks = models.JSONField(default=list)  # loudness along the time line, 0 to 100

    def __str__(self) -> str:
        return str(self.transcription_id)

    @property
    def speech(self) -> tuple[Span, ...]:
        """The spans."""
        return tuple(Span(*span) for span in self.spans)

    @classmethod
    def store(
        cls,
        transcription: Transcription,
        spans: Iterable[Span],
        peaks: list[int],
        *,
        is_opening: bool = False,
    ) -> None:
        """Store what was found, in place of what was found before."""
        stored = [[s.start, s.end, *(() if s.channel is None else (s.channel,))] for s in spans]
        values = {"spans": stored, "peaks": peaks, "is_opening": is_opening}
        cls.objects.update_or_create(values, transcription=transcription)
