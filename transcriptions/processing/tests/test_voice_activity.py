"""Where speech lies and how loud it is, and what the engine hears there."""

from __future__ import annotations

import wave
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from gpu import pcm
from gpu.engine import get_engine
from gpu.tests.wer import word_error_rate
from gpu.types import Audio, Segment, Span
from transcodio_site.testing import SAMPLE, SAMPLE_TEXT, Media
from transcriptions.processing import voice_activity
from transcriptions.processing.media import Prepared, prepare
from transcriptions.processing.voice_activity import PEAKS, find_peaks, find_speech

Ready = Callable[[Path], Prepared]


def nothing() -> None:
    pass


def spans_of(ready: Prepared) -> list[Span]:
    return find_speech(ready.path, ready.duration, nothing)


def covered(spans: list[Span], moments: np.ndarray) -> np.ndarray:
    """For each moment whether it lies in one of the spans."""
    return np.array([any(span.start <= at <= span.end for span in spans) for at in moments])


@pytest.fixture
def ready(tmp_path: Path) -> Ready:
    """Prepares a recording as the pipeline does."""
    return lambda source: prepare(source, tmp_path)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(SAMPLE, tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def twice(sample: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The sample two times over."""
    path = tmp_path_factory.mktemp("twice") / "audio.wav"
    with wave.open(str(sample.path)) as one, wave.open(str(path), "wb") as two:
        two.setparams(one.getparams())
        two.writeframes(one.readframes(one.getnframes()) * 2)
    return Prepared(path, sample.duration * 2, "wav", "")


# --- Speech -------------------------------------------------------------------------------------


def test_spans_are_in_order_and_within_the_recording(sample: Prepared) -> None:
    spans = spans_of(sample)
    assert spans[0].start >= 0
    assert spans[-1].end <= sample.duration
    assert all(span.start < span.end for span in spans)
    assert all(one.end <= two.start for one, two in pairwise(spans))


def test_spans_cover_what_is_loud(sample: Prepared) -> None:
    samples = pcm.read(sample.path, 0, sample.duration)
    blocks = np.abs(samples[: len(samples) // 480 * 480].reshape(-1, 480).astype(int))  # 20 ms
    loud = np.flatnonzero(blocks.max(axis=1) > 2000) * 0.02 + 0.01
    assert len(loud) > 500
    assert covered(spans_of(sample), loud).mean() > 0.995


def test_the_sample_is_understood_where_it_is_spoken(sample: Prepared) -> None:
    spans = spans_of(sample)
    audio = Audio(sample.path, sample.duration, tuple(spans))
    events = get_engine("whisper").stream(audio, lambda: False)
    segments = [event for event in events if isinstance(event, Segment)]
    text = " ".join(segment.text for segment in segments)
    assert word_error_rate(SAMPLE_TEXT.read_text(), text) < 0.10

    words = [word for segment in segments for word in segment.words]
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= sample.duration
    middles = np.array([(word.start + word.end) / 2 for word in words])
    assert covered(spans, middles).mean() > 0.95
    assert all(word.end - word.start < 2 for word in words)


def test_there_is_no_speech_in_silence(media: Media, ready: Ready) -> None:
    assert spans_of(ready(media.silence("silence.wav", 10))) == []


def test_there_is_no_speech_in_noise(media: Media, ready: Ready) -> None:
    assert spans_of(ready(media.noise("noise.wav", 10))) == []


def test_a_silent_second_half_holds_no_speech(media: Media, ready: Ready) -> None:
    five = str(media.speech("five.wav", 5))
    spans = spans_of(ready(media.make("half.wav", "-i", five, "-af", "apad=pad_dur=5")))
    assert spans
    assert spans[-1].end < 6


# --- Blocks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [30, 43, 44, 44.2, 44.24, 53.7, 66.6, 80])
def test_the_edges_of_blocks_change_nothing(
    twice: Prepared, block: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = np.arange(0, twice.duration, 0.05)
    whole = covered(spans_of(twice), moments)
    monkeypatch.setattr(voice_activity, "BLOCK", block)
    spans = spans_of(twice)
    assert all(one.end <= two.start for one, two in pairwise(spans))
    differs = "".join("x" if it else " " for it in covered(spans, moments) != whole)
    assert max(map(len, differs.split()), default=0) * 0.05 <= 0.3


def test_speech_without_a_pause_in_a_whole_block_comes_to_an_end(
    twice: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_activity, "BLOCK", 2.0)
    spans = spans_of(twice)
    assert spans[-1].end > twice.duration - 1
    assert all(one.end <= two.start for one, two in pairwise(spans))


def test_alive_is_called_for_each_block(twice: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_activity, "BLOCK", 30.0)
    calls: list[None] = []
    find_speech(twice.path, twice.duration, lambda: calls.append(None))
    assert len(calls) >= 3


def test_what_alive_raises_ends_the_search(sample: Prepared) -> None:
    def gone() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        find_speech(sample.path, sample.duration, gone)


# --- Peaks --------------------------------------------------------------------------------------


def test_peaks_are_as_many_as_fit_and_between_0_and_100(sample: Prepared) -> None:
    peaks = find_peaks(sample.path, sample.duration)
    assert len(peaks) == PEAKS
    assert min(peaks) >= 0
    assert max(peaks) == 100


def test_peaks_follow_the_sound(media: Media, ready: Ready) -> None:
    loud = "aevalsrc=0.8*sin(2*PI*440*t)*between(t\\,1\\,2)+0.4*sin(2*PI*440*t)*gte(t\\,3):d=4"
    tone = ready(media.make("tone.wav", "-f", "lavfi", "-i", loud))
    peaks = np.array(find_peaks(tone.path, tone.duration)).reshape(4, -1)
    inside = peaks[:, 2:-2]  # without the edges of each second
    assert (inside[0] == 0).all()
    assert (inside[1] >= 95).all()
    assert (inside[2] == 0).all()
    assert (abs(inside[3] - 50) <= 4).all()


def test_the_peaks_of_silence_are_zero(media: Media, ready: Ready) -> None:
    silence = ready(media.silence("silence.wav", 10))
    assert set(find_peaks(silence.path, silence.duration)) == {0}


@pytest.mark.parametrize("seconds", [0.05, 0.5, 3])
def test_a_short_recording_has_fewer_peaks(media: Media, ready: Ready, seconds: float) -> None:
    short = ready(media.noise(f"noise-{seconds}.wav", seconds))
    peaks = find_peaks(short.path, short.duration)
    assert len(peaks) == pytest.approx(seconds * 50, abs=1)
    assert max(peaks) == 100


def test_every_sample_is_looked_at_once(twice: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    read, counted = pcm.read, []

    def noted(path: Path, start: float, end: float) -> np.ndarray:
        samples = read(path, start, end)
        counted.append(samples.size)
        return samples

    monkeypatch.setattr(pcm, "read", noted)
    find_peaks(twice.path, twice.duration)
    assert sum(counted) == round(twice.duration * pcm.RATE)  # so the time it takes is linear
    assert max(counted) < 4 * pcm.RATE  # and the memory flat
