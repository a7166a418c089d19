"""The diarizer that needs nothing but NumPy: it clusters vectors of voices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from gpu import pcm
from gpu.diarization.clustering import Labels, SpeakerLimits, cluster
from gpu.diarization.encoder import BATCH, FRAMES_PER_SECOND, RATE_HZ, WINDOW_FRAMES, VoiceEncoder
from gpu.diarization.turns import SpeechSpan, turns, windows
from gpu.diarization.types import Diarization, Turn
from gpu.types import Audio, Cancelled, Span

# Windows begin this far apart, and farther in long recordings: half the work, hardly less accurate.
STEP_S, LONG_STEP_S, LONG_S = 0.4, 0.8, 1800.0
FIRST_BATCH = 8  # windows: 3 s of speech, for early provisional results
GROWTH = 1.25  # of the number of windows before they are clustered again
SMOOTHING_S = 0.45  # vectors of windows that begin this close together are averaged
SHORT_S = 0.8  # shorter spans are unreliable: they get the nearest speaker

Array = np.ndarray[Any, np.dtype[np.float32]]


class EmbeddedDiarizer:
    """Loads the encoder at the first use."""

    name = "embedded"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: VoiceEncoder | None = None

    def stream(
        self, audio: Audio, limits: SpeakerLimits, stopped: Callable[[], bool]
    ) -> Iterator[Diarization]:
        """See `gpu.diarization.types.Diarizer`."""
        speech = sum(span.end - span.start for span in audio.spans)
        heard = _Heard(self._encoder(), limits, LONG_STEP_S if speech > LONG_S else STEP_S)
        clustered = 0
        for span in audio.spans:
            if stopped():
                raise Cancelled("the recording has ended")
            heard.add(audio, span)
            if heard.count >= max(FIRST_BATCH, clustered * GROWTH):
                clustered = heard.count
                yield heard.result(span.end)
        yield heard.result(audio.duration, is_final=True)

    def _encoder(self) -> VoiceEncoder:
        with self._lock:
            self._loaded = self._loaded or VoiceEncoder()
            return self._loaded


@dataclass(slots=True)
class _Heard:
    """The voices of a recording so far."""

    encoder: VoiceEncoder
    limits: SpeakerLimits
    step_s: float
    spans: list[SpeechSpan] = field(default_factory=list)
    pending: list[Array] = field(default_factory=list)  # windows without vectors
    vectors: list[Array] = field(default_factory=list)
    count: int = 0  # windows

    def add(self, audio: Audio, span: Span) -> None:
        samples = pcm.read_resampled(audio.path, span.start, span.end, RATE_HZ)
        if not samples.size:
            return
        spectra = self.encoder.spectra(samples)
        step = round(self.step_s * FRAMES_PER_SECOND)
        self.spans.append(SpeechSpan.of(span.start, span.end, spectra, step))
        self.pending.append(windows(spectra, step))
        self.count += len(self.pending[-1])
        if sum(map(len, self.pending)) >= BATCH:
            self._encode()

    def _encode(self) -> None:
        if self.pending:
            self.vectors.append(self.encoder.vectors(np.concatenate(self.pending)))
            self.pending.clear()

    def result(self, until: float, *, is_final: bool = False) -> Diarization:
        self._encode()
        if not self.spans:
            return Diarization((), until, is_final)
        vectors = self._smoothed(np.concatenate(self.vectors))
        labels = self._labels(vectors)
        speakers = _numbered(labels)
        found = tuple(sorted(turns(self.spans, [int(n) for n in speakers]), key=_by_start))
        voices = {int(n): _mean(vectors[speakers == n]) for n in np.unique(speakers)}
        return Diarization(found, until, is_final, voices)

    def _smoothed(self, vectors: Array) -> Array:
        """Average each vector with nearby ones in its span."""
        smooth, first = np.empty_like(vectors), 0
        for span in self.spans:
            centers = np.array(span.centers)
            own = vectors[first : first + len(centers)]
            is_near = np.abs(centers[:, None] - centers) <= SMOOTHING_S
            smooth[first : first + len(centers)] = is_near.astype(np.float32) @ own
            first += len(centers)
        return np.asarray(smooth / np.linalg.norm(smooth, axis=1, keepdims=True))

    def _labels(self, vectors: Array) -> Labels:
        """Label each window from 0; short spans get the nearest speaker."""
        lengths = [span.end - span.start for span in self.spans for _ in span.centers]
        is_long = np.array(lengths) >= SHORT_S
        if not is_long.any():
            is_long[:] = True
        window_s = WINDOW_FRAMES / FRAMES_PER_SECOND
        found = cluster(vectors[is_long], self.step_s, window_s, self.limits)
        labels = np.zeros(len(vectors), np.intp)
        labels[is_long] = found
        if not is_long.all():
            names = np.unique(found)
            centers = [_mean(vectors[is_long][found == name]) for name in names]
            nearest = (vectors[~is_long] @ np.array(centers, np.float32).T).argmax(axis=1)
            labels[~is_long] = names[nearest]
        return labels


def _numbered(labels: Labels) -> Labels:
    """Speakers from 1, in the order in which they first speak."""
    number: dict[int, int] = {}
    following = count(1)
    for label in labels:
        if int(label) not in number:
            number[int(label)] = next(following)
    return np.array([number[int(label)] for label in labels], np.intp)


def _by_start(turn: Turn) -> float:
    return turn.start


def _mean(vectors: Array) -> tuple[float, ...]:
    mean = vectors.mean(axis=0)
    return tuple((mean / max(float(np.linalg.norm(mean)), 1e-9)).tolist())
