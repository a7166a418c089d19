"""The diarizer that needs no GPU: it clusters vectors of voices, and hears overlap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np

from gpu import pcm
from gpu.diarization.clustering import Labels, SpeakerLimits, cluster
from gpu.diarization.encoder import BATCH, FRAMES_PER_SECOND, RATE_HZ, WINDOW_FRAMES, VoiceEncoder
from gpu.diarization.overlap import Overlaps
from gpu.diarization.segmentation import FRAMES, Segmentation
from gpu.diarization.turns import SpeechSpan, turns, windows
from gpu.diarization.types import Diarization, Turn
from gpu.types import Audio, Cancelled, Span

# Windows begin this far apart, and farther in long recordings: half the work, hardly less accurate.
STEP_S, LONG_STEP_S, LONG_S = 0.4, 0.8, 1800.0
# Each frame is heard in two chunks of the segmentation, in long recordings in one.
CHUNK_STEP, LONG_CHUNK_STEP = FRAMES // 2, FRAMES
FIRST_BATCH = 8  # windows: 3 s of speech, for early provisional results
GROWTH = 1.25  # of the number of windows before they are clustered again
SMOOTHING_S = 0.45  # vectors of windows that begin this close together are averaged
SHORT_S = 0.8  # shorter spans are unreliable: they get the nearest speaker
MAX_OVERLAP = 0.2  # of a window: with more of it, its vector belongs to no single voice
MIN_CLEAR = 0.3  # of the windows; if fewer are clear, all are clustered
WINDOW_S = WINDOW_FRAMES / FRAMES_PER_SECOND

Array = np.ndarray[Any, np.dtype[np.float32]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


class EmbeddedDiarizer:
    """Loads its networks at the first use."""

    name = "embedded"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: tuple[VoiceEncoder, Segmentation] | None = None

    def stream(
        self, audio: Audio, limits: SpeakerLimits, stopped: Callable[[], bool]
    ) -> Iterator[Diarization]:
        """See `gpu.diarization.types.Diarizer`."""
        speech = sum(span.end - span.start for span in audio.spans)
        is_long = speech > LONG_S
        encoder, segmentation = self._networks()
        heard = _Heard(encoder, limits, LONG_STEP_S if is_long else STEP_S)
        overlaps = Overlaps(segmentation, LONG_CHUNK_STEP if is_long else CHUNK_STEP)
        clustered = 0
        for span in audio.spans:
            if stopped():
                raise Cancelled("the recording has ended")
            heard.add(audio, span)
            overlaps.add(audio, span)
            if heard.count >= max(FIRST_BATCH, clustered * GROWTH):
                clustered = heard.count
                yield heard.result(span.end)
        final = heard.result(audio.duration, overlaps, is_final=True)
        found = sorted([*final.turns, *overlaps.turns(final.turns)], key=_by_start)
        yield replace(final, turns=tuple(found))

    def _networks(self) -> tuple[VoiceEncoder, Segmentation]:
        with self._lock:
            self._loaded = self._loaded or (VoiceEncoder(), Segmentation())
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

    def result(
        self, until: float, overlaps: Overlaps | None = None, *, is_final: bool = False
    ) -> Diarization:
        self._encode()
        if not self.spans:
            return Diarization((), until, is_final)
        is_clear = self._is_clear(overlaps) if overlaps else np.ones(self.count, bool)
        vectors = self._smoothed(np.concatenate(self.vectors), is_clear)
        labels = self._labels(vectors, is_clear)
        speakers = _numbered(labels)
        found = tuple(sorted(turns(self.spans, [int(n) for n in speakers]), key=_by_start))
        voices = {int(n): _mean(vectors[speakers == n]) for n in np.unique(speakers)}
        return Diarization(found, until, is_final, voices)

    def _is_clear(self, overlaps: Overlaps) -> Flags:
        """Whether hardly more than one voice is heard in each window."""
        half = WINDOW_S / 2
        centers = (center for span in self.spans for center in span.centers)
        shares = overlaps.shares([Span(center - half, center + half) for center in centers])
        return np.asarray(shares <= MAX_OVERLAP)

    def _smoothed(self, vectors: Array, is_clear: Flags) -> Array:
        """Average each vector with nearby clear ones in its span."""
        smooth, first = np.empty_like(vectors), 0
        for span in self.spans:
            centers = np.array(span.centers)
            inside = slice(first, first + len(centers))
            is_near = np.abs(centers[:, None] - centers) <= SMOOTHING_S
            is_used = is_near & is_clear[inside] | np.eye(len(centers), dtype=bool)
            smooth[inside] = is_used.astype(np.float32) @ vectors[inside]
            first += len(centers)
        return np.asarray(smooth / np.linalg.norm(smooth, axis=1, keepdims=True))

    def _labels(self, vectors: Array, is_clear: Flags) -> Labels:
        """Label each window from 0; those that say little get the nearest speaker."""
        lengths = [span.end - span.start for span in self.spans for _ in span.centers]
        is_long = np.array(lengths) >= SHORT_S
        says_much = is_long if is_long.any() else ~is_long
        if np.mean(is_clear[says_much]) >= MIN_CLEAR:
            says_much &= is_clear
        found = cluster(vectors[says_much], self.step_s, WINDOW_S, self.limits)
        labels = np.zeros(len(vectors), np.intp)
        labels[says_much] = found
        if not says_much.all():
            names = np.unique(found)
            centers = [_mean(vectors[says_much][found == name]) for name in names]
            nearest = (vectors[~says_much] @ np.array(centers, np.float32).T).argmax(axis=1)
            labels[~says_much] = names[nearest]
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
