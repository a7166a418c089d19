"""Speech spans, and what the engine recognizes in the spans."""

from __future__ import annotations

import wave
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
from transcriptions.processing.media.conversion import PreparedAudio, prepare
from transcriptions.processing.tests.helpers import Prepare, no_check
from transcriptions.processing.voice_activity import find_first_speech, find_speech


def spans_of(audio: PreparedAudio) -> list[Span]:
    return find_speech(audio.path, audio.duration, no_check)


def covered(spans: list[Span], moments: np.ndarray) -> np.ndarray:
    """For each moment, whether it is in one of the spans."""
    return np.array([any(span.start <= at <= span.end for span in spans) for at in moments])


@pytest.fixture
def prepare_media(tmp_path: Path) -> Prepare:
    """`media.prepare` into the test's folder."""
    return lambda source: prepare(source, tmp_path, no_check)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> PreparedAudio:
    return prepare(SAMPLE, tmp_path_factory.mktemp("sample"), no_check)


@pytest.fixture(scope="module")
def twice(sample: PreparedAudio, tmp_path_factory: pytest.TempPathFactory) -> PreparedAudio:
    """The sample, twice in a row."""
    path = tmp_path_factory.mktemp("twice") / "audio.wav"
    with wave.open(str(sample.path)) as one, wave.open(str(path), "wb") as two:
        two.setparams(one.getparams())
        two.writeframes(one.readframes(one.getnframes()) * 2)
    return PreparedAudio(path, sample.duration * 2, "wav", "")


# --- Speech -------------------------------------------------------------------------------------


def test_spans_are_in_order_and_within_the_recording(sample: PreparedAudio) -> None:
    spans = spans_of(sample)
    assert spans[0].start >= 0
    assert spans[-1].end <= sample.duration
    assert all(span.start < span.end for span in spans)
    assert all(one.end <= two.start for one, two in pairwise(spans))


def test_spans_cover_loud_audio(sample: PreparedAudio) -> None:
    samples = pcm.read_samples(sample.path, 0, sample.duration)
    blocks = np.abs(samples[: len(samples) // 480 * 480].reshape(-1, 480).astype(int))  # 20 ms
    loud = np.flatnonzero(blocks.max(axis=1) > 2000) * 0.02 + 0.01
    assert len(loud) > 500
    assert covered(spans_of(sample), loud).mean() > 0.995


def test_first_speech_is_that_of_all_blocks(
    media: Media, prepare_media: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_activity, "BLOCK_S", 10.0)
    late = prepare_media(media.speech("late.wav", None, "-af", "adelay=25s"))
    found, end = find_first_speech(late.path, late.duration, no_check)
    assert 25 < end < 40
    assert found == [span for span in spans_of(late) if span.end <= end]


def test_first_speech_of_silence(media: Media, prepare_media: Prepare) -> None:
    quiet = prepare_media(media.silence("quiet.wav", 2))
    assert find_first_speech(quiet.path, quiet.duration, no_check) == ([], 2.0)


def test_sample_is_recognized_within_its_spans(sample: PreparedAudio) -> None:
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


def test_silence_has_no_spans(media: Media, prepare_media: Prepare) -> None:
    assert spans_of(prepare_media(media.silence("silence.wav", 10))) == []


def test_noise_has_no_spans(media: Media, prepare_media: Prepare) -> None:
    assert spans_of(prepare_media(media.noise("noise.wav", 10))) == []


def test_silent_second_half_has_no_spans(media: Media, prepare_media: Prepare) -> None:
    five = str(media.speech("five.wav", 5))
    spans = spans_of(prepare_media(media.make("half.wav", "-i", five, "-af", "apad=pad_dur=5")))
    assert spans
    assert spans[-1].end < 6


# --- Blocks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [30, 43, 44, 44.2, 44.24, 53.7, 66.6, 80])
def test_block_edges_do_not_change_spans(
    twice: PreparedAudio, block: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = np.arange(0, twice.duration, 0.05)
    whole = covered(spans_of(twice), moments)
    monkeypatch.setattr(voice_activity, "BLOCK_S", block)
    spans = spans_of(twice)
    assert all(one.end <= two.start for one, two in pairwise(spans))
    differs = "".join("x" if changed else " " for changed in covered(spans, moments) != whole)
    assert max(map(len, differs.split()), default=0) * 0.05 <= 0.3


def test_speech_longer_than_a_block_terminates(
    twice: PreparedAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_activity, "BLOCK_S", 2.0)
    spans = spans_of(twice)
    assert spans[-1].end > twice.duration - 1
    assert all(one.end <= two.start for one, two in pairwise(spans))


def test_check_is_called_for_each_block(
    twice: PreparedAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_activity, "BLOCK_S", 30.0)
    calls: list[None] = []
    find_speech(twice.path, twice.duration, lambda: calls.append(None))
    assert len(calls) >= 3


def test_exception_of_check_ends_the_search(sample: PreparedAudio) -> None:
    def fail() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        find_speech(sample.path, sample.duration, fail)
