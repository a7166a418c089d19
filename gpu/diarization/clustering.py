"""Which vectors belong to the same speaker, and how many speakers there are.

Their number is first estimated by spectral clustering with the normalized maximum eigengap (Park et
al., "Auto-tuning spectral clustering for speaker diarization using normalized maximum eigengap",
2020), which needs no threshold, but may find several speakers where there is only one. So speakers
whose vectors are as similar as those of one voice are merged, and a speaker whose vectors belong to
two voices is split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

MAX_SPEAKERS = 20
MAX_NODES = 400  # of the spectral clustering, whose time grows with the cube of this number
MIN_NODES = 10  # of a speaker, on average
NEIGHBORHOODS = 12  # numbers of neighbors that are tried
# Similarities are relative to that within a voice: see `Group`. For small groups they are
# uncertain. Two large groups may be one voice that says different things or sounds different later,
# or two voices on the same telephone line: then more of their variance is between them.
PERHAPS_SAME_VOICE, SAME_VOICE, SURELY_SAME_VOICE, SPLIT_BELOW = 0.84, 0.88, 0.95, 0.84
FAR_APART, LARGE_S = 0.17, 6.0
MIN_SPEAKER_S = 2.4
ROUNDS = 50  # of k-means
COPY = 0.98  # similarity of vectors of the same sound
BLOCK = 1024  # vectors that are compared with all others in one go
TYPICAL_WITHIN = 0.75  # similarity of windows of one voice that do not overlap

Array = np.ndarray[Any, np.dtype[np.float32]]
Labels = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True, slots=True)
class SpeakerLimits:
    """How many speakers there may be."""

    minimum: int = 1
    maximum: int = MAX_SPEAKERS


@dataclass(frozen=True, slots=True)
class Group:
    """Vectors of a supposed speaker, reduced to what determines their similarity to other
    groups."""

    count: int
    total: Array
    within: float  # mean similarity of vectors whose windows do not overlap

    @classmethod
    def of(cls, vectors: Array, overlapping: int) -> Group:
        """Create from vectors in order of time; each one's window overlaps those of `overlapping`
        vectors before it."""
        total, count = vectors.sum(axis=0), len(vectors)
        sum_, pairs = float(total @ total) - count, count * (count - 1)
        for distance in range(1, min(overlapping + 1, count)):
            sum_ -= 2 * float(np.einsum("ij,ij->", vectors[distance:], vectors[:-distance]))
            pairs -= 2 * (count - distance)
        # Nothing is known about a few windows that all overlap.
        return cls(count, total, sum_ / pairs if pairs else TYPICAL_WITHIN)

    def similarity(self, other: Group) -> float:
        """About 1 for the same voice, whatever the noise."""
        between = float(self.total @ other.total) / (self.count * other.count)
        return between / float(np.sqrt(max(self.within * other.within, 1e-6)))

    def distance(self, other: Group) -> float:
        """The share of the variance of both that is between them."""
        count = self.count + other.count
        mean = (self.total + other.total) / count
        gap = self.total / self.count - other.total / other.count
        share = self.count * other.count / count**2
        return share * float(gap @ gap) / max(1 - float(mean @ mean), 1e-6)


def cluster(vectors: Array, step_s: float, window_s: float, limits: SpeakerLimits) -> Labels:
    """A label, from 0, for each of the `n` unit vectors [n, any], which are in order of time. Their
    windows are `window_s` seconds long and begin `step_s` apart."""
    if len(vectors) < 2 or limits.maximum == 1:
        return np.zeros(len(vectors), np.intp)
    overlapping = int(window_s / step_s - 0.01)
    originals, of = _originals(vectors, overlapping)
    unique = vectors[originals]
    chooser = _Chooser(unique, overlapping, step_s, limits)
    return chooser.choose(_spectral(unique, limits))[of]


def _originals(vectors: Array, overlapping: int) -> tuple[Labels, Labels]:
    """The indices of vectors that are not a copy of an earlier one, and for each vector the index
    of its original among them. Copies, such as of a jingle or an announcement, would be more
    similar to each other than anything that one person says."""
    place = np.full(len(vectors), -1)
    originals = list[int]()
    for start in range(0, len(vectors), BLOCK):
        rows = vectors[start : start + BLOCK]
        similar = rows @ vectors[: start + len(rows)].T > COPY
        for number, found in enumerate(similar, start):
            earlier = np.flatnonzero(found[: max(0, number - overlapping)])
            if earlier.size:
                place[number] = place[earlier[0]]
            else:
                place[number] = len(originals)
                originals.append(number)
    return np.array(originals), place


@dataclass(frozen=True, slots=True)
class _Chooser:
    vectors: Array
    overlapping: int
    step_s: float
    limits: SpeakerLimits

    def choose(self, labels: Labels) -> Labels:
        labels = self._without_small(labels, MIN_SPEAKER_S / 2)
        labels = self._merged(self._split(self._merged(labels)))
        return self._without_small(labels, MIN_SPEAKER_S)

    def _group(self, members: Any) -> Group:
        return Group.of(self.vectors[members], self.overlapping)

    def _merged(self, labels: Labels) -> Labels:
        labels = labels.copy()
        groups = {int(label): self._group(labels == label) for label in np.unique(labels)}
        while len(groups) > self.limits.minimum:
            pairs = [(groups[a].similarity(groups[b]), a, b) for a, b in combinations(groups, 2)]
            pairs.sort(reverse=True)
            too_many = len(groups) > self.limits.maximum
            same = (p for p in pairs if too_many or self._is_same(p[0], groups[p[1]], groups[p[2]]))
            found = next(same, None)
            if found is None:
                break
            _, kept, merged = found
            labels[labels == merged] = kept
            del groups[merged]
            groups[kept] = self._group(labels == kept)
        return labels

    def _is_same(self, similarity: float, one: Group, other: Group) -> bool:
        if similarity >= SURELY_SAME_VOICE:
            return True
        if min(one.count, other.count) * self.step_s < LARGE_S:
            return similarity >= SAME_VOICE
        return similarity >= PERHAPS_SAME_VOICE and one.distance(other) < FAR_APART

    def _split(self, labels: Labels) -> Labels:
        labels = labels.copy()
        waiting = [int(label) for label in np.unique(labels)]
        count = len(waiting)
        while waiting and count < self.limits.maximum:
            (members,) = np.nonzero(labels == waiting.pop())
            parts = self._two_voices(members, is_needed=count < self.limits.minimum)
            if parts:
                count += 1
                labels[parts[1]] = labels.max() + 1
                waiting += [int(labels[part[0]]) for part in parts]
        return labels

    def _two_voices(self, members: Labels, *, is_needed: bool) -> list[Labels]:
        """Split the group into two voices; empty if it is one voice."""
        vectors = self.vectors[members]
        for labels in halves(vectors, round(MIN_SPEAKER_S / self.step_s)):
            parts = [members[labels == label] for label in (0, 1)]
            if min(map(len, parts)) * self.step_s >= MIN_SPEAKER_S:
                one, other = map(self._group, parts)
                if is_needed or one.similarity(other) < SPLIT_BELOW:
                    return parts
        return []

    def _without_small(self, labels: Labels, seconds: float) -> Labels:
        """Vectors of groups that are too small go to the nearest other one."""
        found, counts = np.unique(labels, return_counts=True)
        large = found[counts * self.step_s >= seconds]
        if len(large) < self.limits.minimum:
            large = found[np.argsort(-counts, kind="stable")[: self.limits.minimum]]
        centers = _normalized(np.stack([self.vectors[labels == one].mean(axis=0) for one in large]))
        return np.asarray(large[(self.vectors @ centers.T).argmax(axis=1)])


def halves(vectors: Array, fewest: int = 2) -> Iterator[Labels]:
    """Candidate divisions into two voices, as labels 0 and 1: one by k-means, and one that starts
    with the `fewest` vectors around the one that is least similar to the mean."""
    yield k_means(vectors, 2)
    mean = vectors.mean(axis=0)
    least = vectors[(vectors @ mean).argmin()]
    near = np.argsort(-(vectors @ least))[:fewest]
    yield _improved(vectors, np.stack([mean, vectors[near].mean(axis=0)]), ROUNDS)[1]


# --- Spectral clustering --------------------------------------------------------------------------


def _spectral(vectors: Array, limits: SpeakerLimits) -> Labels:
    if len(vectors) <= MAX_NODES:
        return _by_eigengap(vectors, limits)
    nodes = k_means(vectors, MAX_NODES, restarts=1, rounds=10)
    found = np.unique(nodes)
    centers = _normalized(np.stack([vectors[nodes == node].mean(axis=0) for node in found]))
    return _by_eigengap(centers, limits)[np.searchsorted(found, nodes)]


def _by_eigengap(vectors: Array, limits: SpeakerLimits) -> Labels:
    similarities = vectors @ vectors.T
    nearest = np.argsort(-similarities, axis=1, kind="stable")
    best = min(
        (_graph(nearest, neighbors, limits) for neighbors in _neighborhoods(len(vectors))),
        key=lambda graph: graph.ratio,
    )
    return k_means(best.eigenvectors[:, : best.speakers], best.speakers)


@dataclass(frozen=True, slots=True)
class _Graph:
    ratio: float  # of neighbors to the eigengap
    speakers: int
    eigenvectors: Array


def _neighborhoods(count: int) -> Any:
    return np.unique(np.linspace(2, max(3, count // 4), NEIGHBORHOODS).astype(int))


def _graph(nearest: Any, neighbors: int, limits: SpeakerLimits) -> _Graph:
    """Connect each vector with its nearest neighbors."""
    count = len(nearest)
    edges = np.zeros((count, count))
    np.put_along_axis(edges, nearest[:, :neighbors], 1.0, axis=1)
    edges = (edges + edges.T) / 2
    values, eigenvectors = np.linalg.eigh(np.diag(edges.sum(axis=1)) - edges)
    most = min(limits.maximum, max(limits.minimum, count // MIN_NODES))
    gaps = np.diff(values[: most + 1])[limits.minimum - 1 :]
    widest = float(gaps.max()) / float(values[-1] + 1e-9) if gaps.size else 0.0
    speakers = int(gaps.argmax()) + limits.minimum if gaps.size else limits.minimum
    speakers = min(speakers, count)
    return _Graph(neighbors / count / (widest + 1e-9), speakers, eigenvectors)


# --- Basics ---------------------------------------------------------------------------------------


def _normalized(vectors: Array) -> Array:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-9))


def k_means(points: Array, count: int, restarts: int = 8, rounds: int = ROUNDS) -> Labels:
    """Labels from 0 to `count` - 1, deterministic: the best result of a few starts, which are
    chosen as in k-means++."""
    generator = np.random.default_rng(0)
    tries = [
        _improved(points, _first_centers(points, count, generator), rounds) for _ in range(restarts)
    ]
    return min(tries, key=lambda found: found[0])[1]


def _improved(points: Array, centers: Array, rounds: int) -> tuple[float, Labels]:
    """The sum of squared distances, and labels."""
    labels = np.full(len(points), -1)
    for _ in range(rounds):
        distances = _distances(points, centers)
        before, labels = labels, distances.argmin(axis=1)
        if np.array_equal(labels, before):
            break
        for label in np.unique(labels):
            centers[label] = points[labels == label].mean(axis=0)
    return float(distances[np.arange(len(points)), labels].sum()), labels


def _first_centers(points: Array, count: int, generator: Any) -> Array:
    """Random centers that are far apart: the probability of a point is proportional to its squared
    distance."""
    centers = [points[generator.integers(len(points))]]
    nearest = _distances(points, centers[0][None])[:, 0]
    while len(centers) < count:
        chances = np.cumsum(nearest, dtype=float)
        chosen = np.searchsorted(chances, generator.random() * chances[-1], side="right")
        centers.append(points[min(chosen, len(points) - 1)])
        nearest = np.minimum(nearest, _distances(points, centers[-1][None])[:, 0])
    return np.stack(centers)


def _distances(points: Array, centers: Array) -> Array:
    """Squared distances [points, centers]."""
    squares = (points**2).sum(axis=1)[:, None] + (centers**2).sum(axis=1)
    return np.asarray(np.maximum(squares - 2 * (points @ centers.T), 0))
