"""The audio of a live session, as an engine takes it while it arrives."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings
from django.db import connections, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from gpu.live_audio import SILENCE, StreamDecoder
from gpu.types import Commit, LiveAudio
from transcriptions.exceptions import AudioError, TooLong
from transcriptions.models import EndReason, LivePiece, LiveSession, Transcription
from transcriptions.processing import lifecycle, live_lifecycle, live_recording
from transcriptions.usage import quotas

if TYPE_CHECKING:
    from gpu.types import Samples

POLL_INTERVAL_S = 0.1  # between two looks for new audio
PARK_AFTER_S = 20.0  # without audio
QUOTA_INTERVAL_S = 10.0  # of audio, between two checks of the quotas
STALL_S = 60.0  # after which an engine that takes no audio is considered stuck
MAX_PIECES = 64  # that are read in one query


class LiveInput:
    """The audio of a session from `position` (seconds) on, or from what was recognized before a
    pause. It is read in the thread of the engine.

    It ends when the session has ended, which is then `is_over`, or when no audio comes any more.
    """

    def __init__(self, row: Transcription, position: float) -> None:
        self._row = row
        coding = live_recording.coding_of(row.live)
        after_words = math.floor(position * coding.rate_hz) * coding.width
        # Times of words are rounded, perhaps to a time after the end of the audio.
        known = min(max(after_words, row.live.recognized_bytes), row.live.received_bytes)
        skipped = known // coding.width * coding.width  # whole samples
        self._coding, self._last_id = coding, 0
        self.start = skipped / coding.bytes_per_second  # seconds
        # That the engine has got.
        self.received_bytes, self.commits = skipped, row.live.heard_commit
        self.is_over = False
        self._checked_s = 0.0
        self._asked_at = time.monotonic()

    @property
    def is_stuck(self) -> bool:
        """Whether the engine has not asked for audio for STALL_S."""
        return time.monotonic() - self._asked_at > STALL_S

    def audio(self) -> LiveAudio:
        """The input for an engine."""
        language, options = self._row.requested_language or None, self._row.options.for_engine()
        silence = self._row.live.turn_silence
        return LiveAudio(self._chunks(), self.start, language, options, silence)

    def _chunks(self) -> Iterator[Samples | Commit]:
        decoder = StreamDecoder(self._coding.encoding, self._coding.rate_hz)
        thread = threading.get_ident()
        try:
            while session := LiveSession.objects.filter(pk=self._row.pk).first():
                self._asked_at = time.monotonic()
                if session.received_bytes > self.received_bytes or session.commits > self.commits:
                    yield from self._next(decoder)
                    self._check_quotas()
                elif self._has_ended(session):
                    break
                else:
                    time.sleep(POLL_INTERVAL_S)
                    yield SILENCE
            yield decoder.finish()
        finally:
            # Whoever holds the iterator last may close it, in a thread with connections of its own.
            if threading.get_ident() == thread:
                connections.close_all()

    def _next(self, decoder: StreamDecoder) -> Iterator[Samples | Commit]:
        """What has arrived since the last time, as few chunks as possible."""
        chunk: list[Samples] = []
        is_new = Q(commit=None, end__gt=self.received_bytes) | Q(commit__gt=self.commits)
        pieces = LivePiece.objects.filter(is_new, session=self._row.pk, id__gt=self._last_id)
        for piece in pieces.order_by("id")[:MAX_PIECES]:
            self._last_id = piece.id
            if piece.commit is not None:
                self.commits = piece.commit
                yield from (np.concatenate(chunk) for chunk in [chunk] if chunk)
                chunk = []
                yield Commit(piece.commit)
                continue
            begin = piece.end - len(piece.data)
            chunk.append(decoder.decode(bytes(piece.data[max(0, self.received_bytes - begin) :])))
            self.received_bytes = piece.end
        if chunk:
            yield np.concatenate(chunk)

    def _has_ended(self, session: LiveSession) -> bool:
        """Whether no audio follows: at all, or for now."""
        if session.ended_at is not None:
            self.is_over = True
            return True
        silent = LiveSession.objects.filter(pk=session.pk)
        idle_s = settings.LIVE_IDLE_SECONDS
        if silent.filter(received_at__lt=Now() - timedelta(seconds=idle_s)).exists():
            live_lifecycle.end(self._row, EndReason.IDLE)
            return False  # nobody can have sent more, but it costs little to look
        return silent.filter(received_at__lt=Now() - timedelta(seconds=PARK_AFTER_S)).exists()

    def _check_quotas(self) -> None:
        """End the session when the minutes of its owner are used up."""
        seconds = self.received_bytes / self._coding.bytes_per_second
        if seconds - self._checked_s < QUOTA_INTERVAL_S:
            return
        self._checked_s = seconds
        try:
            with transaction.atomic():
                lifecycle.lock_held(self._row)
                quotas.reserve(self._row, seconds)
                Transcription.objects.filter(pk=self._row.pk).update(duration=seconds)
        except TooLong:
            detail = _("The longest duration that your plan allows was reached.")
            live_lifecycle.end(self._row, EndReason.LIMIT, detail)
        except AudioError as error:
            live_lifecycle.end(self._row, EndReason.LIMIT, str(error))
