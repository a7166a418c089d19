"""The waveform of prepared audio: RMS and peaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpu import pcm
from transcodio_site.testing import SAMPLE, Media
from transcriptions.processing import loudness
from transcriptions.processing.loudness import MAX_SHORT_POINTS, measure_loudness, waveform_of
from transcriptions.processing.media.conversion import prepare
from transcriptions.processing.tests.helpers import no_check
from transcriptions.waveform import Waveform


def waveform(path: Path, folder: Path) -> Waveform:
    audio = prepare(path, folder, no_check)
    return waveform_of([measure_loudness(audio.path, audio.duration)])


def in_parts(values: bytes, count: int) -> np.ndarray:
    """Parts of equal length, without two points at each of their edges."""
    return np.array([*values]).reshape(count, -1)[:, 2:-2]


def tone(media: Media, name: str, expression: str, seconds: int) -> Path:
    source = f"aevalsrc={expression}:d={seconds}"
    return media.make(name, "-f", "lavfi", "-i", source)


def test_values_follow_the_volume(media: Media, tmp_path: Path) -> None:
    wave = "0.8*sin(2*PI*440*t)*between(t\\,1\\,2)+0.4*sin(2*PI*440*t)*gte(t\\,3)"
    found = waveform(tone(media, "tone.wav", wave, 4), tmp_path)
    peaks, rms = in_parts(found.peaks, 4), in_parts(found.rms, 4)
    assert (peaks[[0, 2]] == 0).all()
    assert (peaks[1] >= 245).all()
    assert (abs(peaks[3] - 127) <= 10).all()
    # The RMS of a sine is its peak divided by the square root of two.
    assert (abs(rms[1] - 180) <= 8).all()
    assert (abs(rms[3] - 90) <= 8).all()


def test_rms_shows_what_peaks_hide(media: Media, tmp_path: Path) -> None:
    # Full scale all the time, but for half of it only as short clicks.
    clicks = "if(lt(t\\,2)\\,0.9*sin(2*PI*440*t)\\,0.9*lt(mod(t\\,0.01)\\,0.0002))"
    found = waveform(tone(media, "clicks.wav", clicks, 4), tmp_path)
    assert (in_parts(found.peaks, 2) >= 200).all()
    loud, quiet = in_parts(found.rms, 2)
    assert loud.min() > 4 * quiet.max()


def test_silence_is_zero(media: Media, tmp_path: Path) -> None:
    found = waveform(media.silence("silence.wav", 10), tmp_path)
    assert set(found.peaks + found.rms) == {0}


@pytest.mark.parametrize(
    ("seconds", "points"),
    [(0.05, 2), (3, 150), (600, MAX_SHORT_POINTS), (4 * 3600, 144_000), (0.001, 1)],
)
def test_points_for_zooming_into_long_recordings(seconds: float, points: int) -> None:
    assert loudness._point_count(seconds) == points


def test_audio_that_ends_before_its_duration_is_silent_there(tmp_path: Path, media: Media) -> None:
    audio = prepare(media.noise("short.wav", 1), tmp_path, no_check)
    found = waveform_of([measure_loudness(audio.path, 2)])
    assert len(found.peaks) == 100
    assert set(found.peaks[55:]) == {0}
    assert max(found.peaks[:45]) == 255


def test_channels_are_drawn_as_the_loudest() -> None:
    one, two = (
        loudness.Loudness(*np.array(values, np.float32))
        for values in ([[0.1, 0.2], [0.2, 0.4]], [[0.3, 0.0], [0.5, 0.0]])
    )
    found = waveform_of([one, two])
    assert [*found.rms] == [153, 102]
    assert [*found.peaks] == [255, 204]


def test_every_sample_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = prepare(SAMPLE, tmp_path, no_check)
    read, counted = pcm.read_samples, []

    def counting_read(path: Path, start: float, end: float) -> np.ndarray:
        samples = read(path, start, end)
        counted.append(samples.size)
        return samples

    monkeypatch.setattr(pcm, "read_samples", counting_read)
    measure_loudness(audio.path, audio.duration)
    # So the time is linear, and the memory bounded.
    assert sum(counted) == round(audio.duration * pcm.SAMPLE_RATE_HZ)
    assert max(counted) < 11 * pcm.SAMPLE_RATE_HZ
