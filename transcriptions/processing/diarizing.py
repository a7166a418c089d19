"""Speakers are detected during recognition, in a separate thread.

Segments are stored with what is known when they come. When more is known, the speakers of stored
words change, also between two segments; all are right when the recording is complete. A recording
never fails for lack of its speakers.
"""

from __future__ import annotations

import contextvars
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from django.conf import settings
from django.utils.translation import gettext as _

from gpu.diarization.clustering import SpeakerLimits
from gpu.diarization.engine import get_diarizer
from gpu.diarization.types import Diarization
from gpu.types import Audio, Complete, DeadlineExceeded, EngineError, Segment, UsageDelta, Word
from transcriptions.models import Options
from transcriptions.processing.leases import LeaseHolder, shutting_down
from transcriptions.processing.recognized_voices import name_known_speakers
from transcriptions.processing.speaker_storage import store_speakers
from transcriptions.processing.speakers import (
    ChannelSpeakers,
    SpeakerOf,
    TurnSpeakers,
    by_speaker,
)
from transcriptions.realtime import streams
from transcriptions.schemas.events import SpeakersEvent

log = logging.getLogger(__name__)

Usage = TypeVar("Usage", Complete, UsageDelta)

CHECK_INTERVAL_S = 0.2  # between two checks whether the work should stop
CLOSE_TIMEOUT_S = 5.0  # that the end of the work waits for the diarizer to stop


class SpeakerDetection:
    """Tells the speakers of a recording apart, if its owner has asked for it."""

    def __init__(self, holder: LeaseHolder) -> None:
        self.note = ""  # for the owner
        self._row, self._holder = holder.row, holder
        self._is_wanted = holder.row.options.diarize
        # An earlier attempt has ended, and its speakers were named: words keep their speakers until
        # all are known, to tell then whose names these are.
        self._has_names = self._is_wanted and holder.row.speakers.exclude(name="").exists()
        self._first_words = threading.Event()
        self._diarizer: _BackgroundDiarizer | None = None
        self._audio: Audio | None = None  # whose speakers are told apart
        self._metered = UsageDelta(0.0)  # of the diarizer, in the usage of the row
        self._has_gpu = False  # that is paid by the second
        self._stored: Diarization | None = None
        stored = holder.row.segments.order_by("number").values_list("channel", flat=True)
        self._speaker_of: SpeakerOf = ChannelSpeakers.of(stored if self._is_wanted else ())

    def prepare(self, audio: Audio) -> None:
        """All of the audio is there. If its channels are recognized separately, they are the
        speakers. Otherwise a diarizer starts after the first words, so that it does not delay
        them."""
        is_one_channel = all(span.channel is None for span in audio.spans)
        if self._is_wanted and audio.spans and is_one_channel:
            stopped, limits = self._holder.should_stop, limits_of(self._row.options)
            self._audio = audio
            self._diarizer = _BackgroundDiarizer(audio, limits, self._first_words, stopped)

    def labeled(self, segments: Sequence[Segment]) -> list[Segment]:
        """The segments with the speakers that are known, divided where these change. Those of
        stored words change first, if more is known. Raises LeaseLost."""
        if not self._is_wanted:
            return list(segments)
        self._store_latest()
        self._add_usage()
        return [part for each in segments for part in by_speaker(each, self._speaker_of)]

    def check(self) -> None:
        """As that of the lease. To be called by the thread that stores the segments, while it has
        none: what is found meanwhile is stored and published."""
        self._holder.check()
        self._store_latest()

    def words_are_stored(self) -> None:
        """Note that words are stored; call it after the first ones at the latest."""
        self._first_words.set()

    def finish(self, meter: Complete) -> Complete:
        """Wait for the speakers of all words, and store them. Return the usage with that of the
        diarizer, and of comparing voices. Raises LeaseLost, Cancelled."""
        if not self._is_wanted:
            return meter
        if self._diarizer is None or self._audio is None:
            self._store_by_channel()
            return meter
        compared = list[float]()  # seconds of CPU time
        try:
            self._store(self._diarizer.result(self.check), at_end=True)
            self._publish(name_known_speakers(self._row, self._audio, self.check, compared.append))
        except NoSpeakersError as error:
            log.error("%s: speakers: %s", self._row.id, error.__cause__, exc_info=error.__cause__)
            self.note = _("The speakers could not be detected.")
            self._store(Diarization((), 0.0, is_final=True), at_end=True)
        self._metered = used = self._diarizer.usage
        log.info("%s: speakers told apart in %.1f s", self._row.id, used.decode_seconds)
        return _with_diarizer(_with_diarizer(meter, used), UsageDelta(sum(compared)))

    def close(self) -> None:
        """Stop the diarizer. What it has cost by then is not lost."""
        if self._diarizer:
            self._diarizer.close()
            self._add_usage(at_end=True)  # of work that was interrupted

    def _store_latest(self) -> None:
        latest = self._diarizer.latest if self._diarizer else None
        if latest and latest is not self._stored and not self._has_names:
            self._store(latest)

    def _store(self, found: Diarization, *, at_end: bool = False) -> None:
        until = math.inf if found.is_final else found.until
        self._stored = found
        spans = self._audio.spans if self._audio else ()
        self._speaker_of = TurnSpeakers(found.turns, spans, until)
        self._store_and_publish(is_final=at_end)

    def _store_by_channel(self) -> None:
        stored = self._row.segments.values_list("words", flat=True)
        words = (Word(**word) for words in stored for word in words)
        self._speaker_of = ChannelSpeakers.with_words(words)
        self._store_and_publish(is_final=True)

    def _store_and_publish(self, *, is_final: bool) -> None:
        self._publish(store_speakers(self._row, self._speaker_of, is_final=is_final))

    def _publish(self, event: SpeakersEvent | None) -> None:
        if event:
            streams.publish(self._row.id, event)

    def _add_usage(self, *, at_end: bool = False) -> None:
        """What the diarizer has used until now is saved with the usage of the engine, so that it is
        metered even if the work is interrupted. That of a paid GPU is added at the end only: what
        an engine uses afterwards on the CPU would have its price."""
        self._has_gpu |= bool(self._row.unsaved_usage.gpu)
        used = self._diarizer.usage if self._diarizer else UsageDelta(0.0)
        if at_end if used.gpu else not self._has_gpu:
            added, self._metered = used - self._metered, used
            self._row.unsaved_usage = _with_diarizer(self._row.unsaved_usage, added)


def _with_diarizer(usage: Usage, used: UsageDelta) -> Usage:
    """The usage of an engine with that of a diarizer. If only one of them has used a GPU that is
    paid by the second, the time of the other one does not count: it has no price."""
    if usage.gpu and not used.gpu:
        return usage
    seconds = 0.0 if used.gpu and not usage.gpu else usage.decode_seconds
    return replace(usage, decode_seconds=seconds + used.decode_seconds, gpu=used.gpu)


@contextmanager
def speaker_detection(holder: LeaseHolder) -> Iterator[SpeakerDetection]:
    """Detect speakers while the body runs."""
    detection = SpeakerDetection(holder)
    try:
        yield detection
    finally:
        detection.close()


def limits_of(options: Options) -> SpeakerLimits:
    """How many speakers there may be."""
    known = {"minimum": options.min_speakers, "maximum": options.max_speakers}
    return SpeakerLimits(**{name: value for name, value in known.items() if value is not None})


def diarize(
    audio: Audio,
    limits: SpeakerLimits,
    check: Callable[[], None],
    used: Callable[[UsageDelta], None],
) -> Diarization:
    """Tell the speakers of prepared audio apart. `used` gets the usage until then, again and again.
    Raises what `check` raises, and NoSpeakersError."""
    start = threading.Event()
    diarizer = _BackgroundDiarizer(audio, limits, start, shutting_down.is_set)

    def check_and_report() -> None:
        used(diarizer.usage)
        check()

    try:
        return diarizer.result(check_and_report)
    finally:
        diarizer.close()
        used(diarizer.usage)


class NoSpeakersError(Exception):
    """The diarizer has failed. `__cause__` is its error."""


class _BackgroundDiarizer:
    """A call of the diarizer in a thread, which begins when `start` is set."""

    def __init__(
        self,
        audio: Audio,
        limits: SpeakerLimits,
        start: threading.Event,
        should_stop: Callable[[], bool],
    ) -> None:
        self.latest: Diarization | None = None
        self._reported: UsageDelta | None = None  # by the diarizer
        self._cpu_seconds = 0.0  # of its thread, until now
        self._audio, self._limits = audio, limits
        self._start, self._should_stop = start, should_stop
        self._stopped, self._ended = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._latest_at = time.monotonic()
        context = contextvars.copy_context()  # so that its log lines have the same ids
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), daemon=True, name="diarizer"
        )
        self._thread.start()

    @property
    def usage(self) -> UsageDelta:
        """The usage so far."""
        return self._reported or UsageDelta(self._cpu_seconds)

    def result(self, check: Callable[[], None]) -> Diarization:
        """The final one. Raises what `check` raises, and NoSpeakersError if there is none, or if
        nothing comes for ENGINE_SILENCE_SECONDS."""
        self._latest_at = time.monotonic()
        self._start.set()
        while not self._ended.wait(CHECK_INTERVAL_S):
            check()
            if time.monotonic() > self._latest_at + settings.ENGINE_SILENCE_SECONDS:
                message = f"nothing for {settings.ENGINE_SILENCE_SECONDS} s"
                raise NoSpeakersError from DeadlineExceeded(message)
        check()
        if self.latest is None or not self.latest.is_final:
            error = self._error or EngineError("the diarizer has ended without a final result")
            raise NoSpeakersError from error
        return self.latest

    def close(self) -> None:
        """Stop it."""
        self._stopped.set()
        self._start.set()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        try:
            self._start.wait()
            if not self._is_stopped():
                self._diarize()
        except BaseException as error:
            self._error = error
        finally:
            self._cpu_seconds = time.thread_time()
            self._ended.set()

    def _diarize(self) -> None:
        diarizer = get_diarizer(settings.DIARIZER)
        for found in diarizer.stream(self._audio, self._limits, self._is_stopped):
            self._latest_at, self._cpu_seconds = time.monotonic(), time.thread_time()
            self._reported = found.usage or self._reported
            if found.until or found.is_final:
                self.latest = found

    def _is_stopped(self) -> bool:
        """The diarizer asks it often."""
        self._cpu_seconds = time.thread_time()
        return self._stopped.is_set() or self._should_stop()
