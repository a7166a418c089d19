"""Where live audio has speech: the Silero VAD of faster-whisper, a frame at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from faster_whisper.vad import get_vad_model

from gpu.types import Span
from gpu.whisper.decoded import SAMPLE_RATE_HZ, Samples

FRAME, CONTEXT = 512, 64  # samples, by the model
FRAME_S = FRAME / SAMPLE_RATE_HZ
SPEECH, SILENCE = 0.5, 0.35  # probabilities; in between, nothing changes
# The same as for files: shorter speech is a click, and a shorter silence is part of the speech
# around it.
MIN_SPEECH_S, MIN_SILENCE_S, PADDING_S = 0.12, 0.4, 0.2


class VoiceActivity:
    """The probability of speech in each frame, with the state of the model between calls."""

    def __init__(self) -> None:
        self._session = get_vad_model().session
        self._state = np.zeros((2, 1, 1, 128), dtype=np.float32)
        self._samples = np.zeros(CONTEXT, dtype=np.float32)  # the last of those that were judged

    def probabilities(self, samples: Samples) -> list[float]:
        """Probabilities of the frames that these samples complete."""
        samples = np.concatenate([self._samples, samples])
        count = (len(samples) - CONTEXT) // FRAME
        self._samples = samples[count * FRAME :]
        if not count:
            return []
        starts = np.arange(count)[:, np.newaxis] * FRAME
        frames = samples[starts + np.arange(CONTEXT + FRAME)]
        hidden, cell = self._state
        found, *state = self._session.run(None, {"input": frames, "h": hidden, "c": cell})
        self._state = np.stack(state)
        return [float(probability) for probability in found.reshape(-1)]


class SpeechDetector:
    """Finds speech in the probabilities of consecutive frames. Times are in seconds."""

    def __init__(self, start: float) -> None:
        self.position = start  # the end of the last frame
        self.end = start  # of the last speech that has lasted long enough
        self._spans: list[Span] = []
        self._begun: float | None = None  # where the current speech begins
        self._last = start  # the end of its last frame with speech
        self._frames = 0  # with speech, since it began

    def push(self, probability: float) -> None:
        """Adds the next frame."""
        start = self.position
        self.position += FRAME_S
        if probability >= SPEECH:
            if self._begun is None:
                self._begun, self._frames = start, 0
            self._last = self.position
            self._frames += 1
        elif probability >= SILENCE and self._last == start and self._begun is not None:
            self._last = self.position
        elif self.position - self._last >= MIN_SILENCE_S:
            self.finish()
        if self.is_speech:
            self.end = self._last

    def finish(self) -> None:
        """Ends the current speech; what follows is judged separately."""
        if self._begun is not None and self.is_speech:
            self._spans.append(Span(self._begun, self._last))
        self._begun = None

    @property
    def start(self) -> float:
        """Where the current speech begins; it may still turn out to be a click."""
        return self.position if self._begun is None else self._begun

    @property
    def is_speech(self) -> bool:
        """Whether someone is speaking, for long enough and with only short silences."""
        return self._begun is not None and self._frames * FRAME_S >= MIN_SPEECH_S

    @property
    def silence(self) -> float:
        """Seconds since someone last spoke."""
        return self.position - self.end

    def spans(self, start: float, end: float) -> list[Span]:
        """The speech between two times, with some of the silence around it."""
        return list(self._padded(start, end))

    def forget(self, before: float) -> None:
        """Drops the speech that ended before a time."""
        self._spans = [span for span in self._spans if span.end > before]

    def _padded(self, start: float, end: float) -> Iterator[Span]:
        current = [Span(self.start, self._last)] if self.is_speech else []
        for span in (*self._spans, *current):
            first, last = max(start, span.start - PADDING_S), min(end, span.end + PADDING_S)
            if first < last:
                yield Span(first, last)
                start = last
