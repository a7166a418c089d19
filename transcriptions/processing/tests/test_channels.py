"""The channels of a recording, before and after they are mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpu import pcm
from transcodio_site.testing import Media
from transcriptions.exceptions import TooLong
from transcriptions.processing.media import conversion, mixing
from transcriptions.processing.media.conversion import PreparedAudio, Selection, prepare
from transcriptions.processing.tests.helpers import Prepare, no_check


def loudness(path: Path) -> float:
    """The root mean square of all samples."""
    return float(np.sqrt(np.mean(pcm.read_samples(path, 0, 1e6).astype(float) ** 2)))


def panned(media: Media, name: str, pan: str) -> Path:
    """Five seconds of speech on the channels that a filter says."""
    return media.make(name, "-i", str(media.speech("five.wav", 5)), "-af", f"pan={pan}")


@pytest.fixture
def plain_loudness(media: Media, tmp_path_factory: pytest.TempPathFactory) -> float:
    folder = tmp_path_factory.mktemp("plain")
    return loudness(prepare(media.speech("five.wav", 5), folder, no_check).path)


@pytest.mark.covers("fault", "Two channels of opposite phase, which cancel each other")
@pytest.mark.parametrize(
    "pan",
    [
        "stereo|c0=c0|c1=c0",
        "stereo|c0=c0|c1=-1*c0",
        "stereo|c0=c0|c1=-0.8*c0",
        "stereo|c0=c0|c1=0*c0",
        "stereo|c0=0*c0|c1=c0",
        "stereo|c0=c0|c1=0.0005*c0",
        "mono|c0=c0",
    ],
)
@pytest.mark.parametrize("extension", ["wav", "ogg"])
def test_speech_is_as_loud_after_mixing(
    media: Media, prepare: Prepare, plain_loudness: float, extension: str, pan: str
) -> None:
    audio = prepare(panned(media, f"panned.{extension}", pan))
    assert loudness(audio.path) == pytest.approx(plain_loudness, rel=0.15)
    assert audio.duration == pytest.approx(5, abs=0.05)
    assert audio.channels == ()


@pytest.mark.parametrize(("layout", "channel"), [("2.1", "FL"), ("4.0", "FC"), ("5.1", "FC")])
def test_speech_of_a_film_with_many_channels_is_kept(
    media: Media, prepare: Prepare, plain_loudness: float, layout: str, channel: str
) -> None:
    audio = prepare(panned(media, f"film-{layout}.wav", f"{layout}|{channel}=c0"))
    assert loudness(audio.path) > plain_loudness / 4  # as FFmpeg mixes them


def test_silent_recording_with_two_channels_stays_silent(media: Media, prepare: Prepare) -> None:
    silence = ("-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo:d=2")
    audio = prepare(media.make("silent-stereo.flac", *silence))
    assert loudness(audio.path) == 0
    assert audio.duration == pytest.approx(2, abs=0.05)


def call(media: Media) -> Path:
    """A telephone call: one person speaks on each channel, one after the other."""
    one, two = str(media.speech("one.wav", 5)), str(media.speech("two.wav", 5, "-ss", "6"))
    times = "[1]adelay=5s[late];[0]apad=pad_dur=5[early]"
    graph = f"{times};[early][late]join=inputs=2:channel_layout=stereo"
    return media.make("call.wav", "-i", one, "-i", two, "-filter_complex", graph)


def test_channels_are_kept_apart_if_asked(media: Media, tmp_path: Path) -> None:
    audio = prepare(call(media), tmp_path, no_check, Selection(separate_channels=True))
    assert audio.channels == (0, 1)
    assert audio.duration == pytest.approx(10, abs=0.1)
    first, second = mixing.split(audio.path, tmp_path, (0, 1), no_check).values()
    assert loudness(first) > 100
    assert loudness(second) > 100
    assert np.abs(pcm.read_samples(first, 6, 9)).max() == 0
    assert np.abs(pcm.read_samples(second, 1, 4)).max() == 0


@pytest.mark.parametrize("pan", ["stereo|c0=c0|c1=c0", "stereo|c0=c0|c1=-1*c0", "mono|c0=c0"])
def test_equal_channels_are_mixed_even_if_they_should_be_kept_apart(
    media: Media, tmp_path: Path, pan: str
) -> None:
    source = panned(media, "same.wav", pan)
    audio = prepare(source, tmp_path, no_check, Selection(separate_channels=True))
    assert audio.channels == ()
    assert loudness(audio.path) > 100


def separate(source: Path, folder: Path) -> PreparedAudio:
    return prepare(source, folder, no_check, Selection(separate_channels=True))


def panel(media: Media, name: str, pan: str) -> Path:
    """A recording with several channels. `c0` and `c1` of `pan` are two persons who speak."""
    return media.make(name, "-i", str(call(media)), "-af", f"pan={pan}")


@pytest.mark.parametrize(
    ("name", "pan", "channels"),
    [
        ("four.wav", "4.0|c0=c0|c1=c1|c2=0*c0|c3=c0+c1", (0, 1, 3)),
        ("copies.wav", "4.0|c0=0*c0|c1=c0|c2=-1*c0|c3=c1", (1, 3)),
        ("film.flac", "5.1|c2=c0|c5=c1", (2, 5)),
        ("eight.wav", "7.1|c0=c0|c7=c1", (0, 7)),
        ("three.m4a", "3.0|c0=c0|c1=c0|c2=c0", ()),
        ("one-of-two.wav", "stereo|c1=c0", (1,)),
        ("silent.wav", "4.0|c0=0*c0", ()),
    ],
)
def test_each_channel_with_a_sound_of_its_own_is_kept(
    media: Media, tmp_path: Path, name: str, pan: str, channels: tuple[int, ...]
) -> None:
    audio = separate(panel(media, name, pan), tmp_path)
    assert audio.channels == channels
    assert audio.duration == pytest.approx(10, abs=0.1)
    paths = mixing.split(audio.path, tmp_path, channels, no_check)
    assert all(loudness(path) > 100 for path in paths.values())
    if not channels:
        assert (loudness(audio.path) > 100) == (name != "silent.wav")


@pytest.mark.covers("attack", "A recording with many channels becomes too large for a WAV")
def test_recording_that_becomes_too_large_is_too_long(
    media: Media, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "MAX_WAV_BYTES", 5 * 8 * 48_000)
    with pytest.raises(TooLong, match="longer than 5 s"):
        separate(panel(media, "eight.wav", "7.1|c0=c0|c7=c1"), tmp_path)
