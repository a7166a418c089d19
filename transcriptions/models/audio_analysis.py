"""The results of preprocessing the audio of a recording."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models
from django.utils.translation import gettext_lazy as _

from gpu.types import Span
from transcriptions.models.transcription import Transcription
from transcriptions.waveform import Waveform


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
    # The result of Waveform.pack; empty for an opening.
    waveform = models.BinaryField(default=b"", db_default=b"")
    # For recordings that were prepared before there was a waveform: 0 to 100.
    peaks = models.JSONField(default=list)

    class Meta:
        verbose_name_plural = _("audio analyses")

    def __str__(self) -> str:
        return str(self.transcription_id)

    @property
    def speech(self) -> tuple[Span, ...]:
        """The spans."""
        return tuple(Span(*span) for span in self.spans)

    @classmethod
    def waveform_of(cls, transcription: Transcription) -> Waveform:
        """The waveform; empty until all of the audio is prepared."""
        rows = cls.objects.filter(transcription=transcription)
        stored, peaks = rows.values_list("waveform", "peaks").first() or (b"", [])
        return Waveform.unpack(bytes(stored)) if stored else Waveform.of_peaks(peaks)

    @classmethod
    def has_waveform(cls, transcription: Transcription) -> bool:
        """Whether all of the audio is prepared."""
        rows = cls.objects.filter(transcription=transcription)
        return rows.exclude(waveform=b"", peaks=[]).exists()

    @classmethod
    def store(
        cls,
        transcription: Transcription,
        spans: Iterable[Span],
        waveform: Waveform,
        *,
        is_opening: bool = False,
    ) -> None:
        """Store results in place of earlier ones."""
        stored = [[s.start, s.end, *(() if s.channel is None else (s.channel,))] for s in spans]
        values = {"spans": stored, "waveform": waveform.pack(), "is_opening": is_opening}
        cls.objects.update_or_create(values, transcription=transcription)
