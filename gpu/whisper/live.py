"""Live speech with Whisper on the CPU.

While somebody speaks, the end of the audio is decoded again about once per second. Words are firm
when two hypotheses in a row agree on them (LocalAgreement); later hypotheses begin with them. In a
pause all words become firm. Nothing is decoded in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from gpu import pcm
from gpu.segments import SEGMENT_PAUSE_S
from gpu.types import (
    Cancelled,
    Commit,
    Complete,
    EngineError,
    LiveAudio,
    LiveEvent,
    TurnEnded,
    TurnStarted,
)
from gpu.whisper.decoded import SAMPLE_RATE_HZ, Samples
from gpu.whisper.live_window import Hypothesis, LiveWindow
from gpu.whisper.live_words import LiveWords
from gpu.whisper.voice_activity import SpeechDetector, VoiceActivity
from gpu.whisper.workers import Job, Workers

if TYPE_CHECKING:
    from gpu.whisper.model import Model

INTERVAL_S = 1.0  # of new audio between two hypotheses
MAX_SHARE = 0.4  # of the time that may be spent on decoding: the interval grows on a slow machine
PAUSE_S = 0.6  # of silence after which the words before it are complete
MIN_PAUSE_S = 0.1
LEAD_S = 0.4  # decoded before speech: its beginning is soft
TAIL_S = 0.3  # and after it
MAX_WINDOW_S = 26.0


class LiveSession:
    """One session. Its times are in seconds from the recording's start."""

    def __init__(
        self,
        model: Model,
        workers: Workers,
        audio: LiveAudio,
        model_name: str,
        stopped: Callable[[], bool],
    ) -> None:
        self.device_seconds = 0.0
        self._workers, self._audio, self._stopped = workers, audio, stopped
        self._resampler = pcm.Resampler(SAMPLE_RATE_HZ)
        self._activity, self._detector = VoiceActivity(), SpeechDetector(audio.start)
        self._window = LiveWindow(model, audio.start, audio.language, audio.options)
        self._words = LiveWords(model_name)
        self._in_turn = False
        self._is_open = False  # whether there is speech whose words are not firm
        self._opened = self._decoded_until = audio.start
        self._interval = INTERVAL_S
        self._pause = max(MIN_PAUSE_S, min(PAUSE_S, audio.turn_silence_s or PAUSE_S))
        self._speech_seconds = 0.0

    def events(self, default_language: str) -> Iterator[LiveEvent]:
        """See `gpu.types.Engine.live`; without usage."""
        if self._window.language:
            yield from self._words.begin(self._window.language)
        for chunk in self._audio.chunks:
            if self._stopped():
                raise Cancelled("stopped during a live session")
            if isinstance(chunk, Commit):
                yield from self._end_turn(self._detector.position, chunk.number)
            else:
                yield from self._listen(self._resampler.push(chunk))
        yield from self._listen(self._resampler.finish())
        if self._in_turn:
            yield from self._end_turn(self._detector.position)
        yield from self._words.begin(default_language)

    @property
    def usage(self) -> Complete:
        """The usage so far."""
        return Complete(round(self._speech_seconds, 3), self.device_seconds)

    def _listen(self, samples: Samples) -> Iterator[LiveEvent]:
        self._window.append(samples)
        for probability in self._activity.probabilities(samples):
            self._detector.push(probability)
            yield from self._advance()

    def _advance(self) -> Iterator[LiveEvent]:
        """Processes the next frame."""
        detector = self._detector
        if detector.is_speech and not self._is_open:
            yield from self._open()
        if not self._is_open:
            self._window.drop(detector.start - LEAD_S)
        elif detector.silence >= self._pause:
            yield from self._close()
        elif self._is_due():
            yield from self._update(detector.position)
        turn_silence = self._audio.turn_silence_s
        if self._in_turn and turn_silence is not None and detector.silence >= turn_silence:
            yield from self._end_turn(detector.end)
        if not self._is_open and detector.silence >= SEGMENT_PAUSE_S:
            yield from self._words.finish()

    def _open(self) -> Iterator[LiveEvent]:
        """Speech begins."""
        self._is_open = True
        self._opened = self._decoded_until = self._detector.start
        if not self._in_turn:
            self._in_turn = True
            yield TurnStarted(round(self._detector.start, 3))

    def _is_due(self) -> bool:
        position = self._detector.position
        is_long = position - self._window.start >= MAX_WINDOW_S
        is_news = self._detector.end > self._decoded_until
        return is_long or (is_news and position - self._decoded_until >= self._interval)

    def _update(self, end: float, is_last: bool = False) -> Iterator[LiveEvent]:
        """Decodes the window until `end`."""
        window = self._window
        hypothesis = self._decode(end, is_last)
        self._decoded_until = end
        firm = window.accept(hypothesis, is_last)
        if not is_last:
            firm += window.trim(end)
        if window.language or hypothesis.is_certain:
            yield from self._words.add(firm, window.tentative, hypothesis.language)

    def _close(self) -> Iterator[LiveEvent]:
        """All words so far are complete."""
        position = self._detector.position
        end = min(position, self._detector.end + TAIL_S)
        if self._decoded_until <= self._detector.end or not self._window.language:
            yield from self._update(end, is_last=True)
        self._speech_seconds += self._detector.end - self._opened
        language = self._window.language
        yield from self._words.add(self._window.finish(end), (), language)
        self._is_open = False
        self._detector.finish()
        self._detector.forget(end)

    def _end_turn(self, end: float, commit: int | None = None) -> Iterator[LiveEvent]:
        if self._is_open:
            yield from self._close()
        yield from self._words.finish()
        self._in_turn = False
        yield TurnEnded(round(end, 3), commit)

    def _decode(self, end: float, is_last: bool) -> Hypothesis:
        speech = self._detector.spans(self._window.start, end)
        task = partial(_run, partial(self._window.decode, end, speech, is_last))
        job = Job([task])
        begun = monotonic()
        try:
            with closing(self._workers.run(job, self._stopped)) as results:
                hypothesis = next(results)
        finally:
            self.device_seconds += job.device_seconds
        self._interval = max(INTERVAL_S, (monotonic() - begun) / MAX_SHARE)
        return hypothesis


def _run(decode: Callable[[], Hypothesis]) -> Hypothesis:
    try:
        return decode()
    except EngineError:
        raise
    except Exception as error:  # native code raises many types
        raise EngineError(f"Whisper failed: {error!r}") from error
