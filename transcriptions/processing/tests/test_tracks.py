"""The audio tracks of a video: the one with speech is found, or the one that was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from transcodio_site.testing import Media
from transcriptions.exceptions import AudioError, NoAudio
from transcriptions.models import Options, Transcription
from transcriptions.processing import pipeline
from transcriptions.processing.media.ffmpeg_log import Track, tracks
from transcriptions.processing.preparation import Preparation, prepare_recording
from transcriptions.processing.tests.helpers import no_check
from transcriptions.testing import ScriptedEngine, send

SILENT_GERMAN = ("-metadata:s:a:0", "language=ger", "-metadata:s:a:0", "title=Original sound")
SPOKEN_ENGLISH = ("-metadata:s:a:1", "language=eng", "-metadata:s:a:1", "title=Commentary")


def film(media: Media, name: str, sounds: list[Path], *options: str) -> Path:
    """A film whose audio tracks are these files."""
    inputs = [part for sound in sounds for part in ("-i", str(sound))]
    maps = [part for number in range(len(sounds) + 1) for part in ("-map", str(number))]
    picture = ("-f", "lavfi", "-i", "testsrc=d=3:s=64x64:r=5")
    return media.make(name, *picture, *inputs, *maps, *options)


def silent_and_spoken(media: Media, name: str, *options: str) -> Path:
    sounds = [media.silence("silent-track.wav", 3), media.speech("spoken-track.wav", 3)]
    return film(media, name, sounds, *SILENT_GERMAN, *SPOKEN_ENGLISH, *options)


def prepared(source: Path, folder: Path, **options: Any) -> Preparation:
    return prepare_recording(source, folder, Options(**options), no_check)


@pytest.mark.covers("fault", "A video whose first audio track is silent")
@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.mov", "film.ts"])
def test_track_with_speech_is_found(media: Media, tmp_path: Path, name: str) -> None:
    found = prepared(silent_and_spoken(media, name), tmp_path)
    assert found.track == 1
    assert found.spans
    assert [(t["index"], t["language"], t["chosen"]) for t in found.tracks] == [
        (0, "ger", False),
        (1, "eng", True),
    ]
    assert found.tracks[1]["channels"] == 1


def test_titles_and_default_are_listed(media: Media, tmp_path: Path) -> None:
    defaults = ("-disposition:a:0", "0", "-disposition:a:1", "default")
    found = prepared(silent_and_spoken(media, "titled.mkv", *defaults), tmp_path)
    listed = [(t["title"], t["codec"], t["default"]) for t in found.tracks]
    assert listed == [("Original sound", "vorbis", False), ("Commentary", "vorbis", True)]


@pytest.mark.parametrize(("default", "chosen"), [(0, 0), (1, 1)])
def test_default_track_comes_first_if_both_have_speech(
    media: Media, tmp_path: Path, default: int, chosen: int
) -> None:
    sounds = [media.speech("three.wav", 3), media.speech("later-three.wav", 3, "-ss", "5")]
    flags = [
        part for n in (0, 1) for part in (f"-disposition:a:{n}", "default" * (n == default) or "0")
    ]
    assert prepared(film(media, f"both-{default}.mkv", sounds, *flags), tmp_path).track == chosen


@pytest.mark.parametrize("track", [0, 1])
def test_track_that_was_asked_for_is_used(media: Media, tmp_path: Path, track: int) -> None:
    found = prepared(silent_and_spoken(media, "film.mkv"), tmp_path, track=track)
    assert (found.track, bool(found.spans)) == (track, track == 1)


def test_missing_track_is_an_error(media: Media, tmp_path: Path) -> None:
    with pytest.raises(NoAudio, match=r"no audio track 2 in this file\. The last one is 1"):
        prepared(silent_and_spoken(media, "film.mkv"), tmp_path, track=2)


def test_silent_film_uses_its_default_track(media: Media, tmp_path: Path) -> None:
    sounds = [media.silence("a.wav", 3), media.silence("b.wav", 3)]
    flags = ("-disposition:a:0", "0", "-disposition:a:1", "default")
    found = prepared(film(media, "quiet.mkv", sounds, *flags), tmp_path)
    assert (found.track, found.spans) == (1, [])


def test_track_that_cannot_be_decoded_is_skipped(media: Media, tmp_path: Path) -> None:
    codecs = ("-c:a:0", "dfpwm", "-c:a:1", "pcm_s16le")
    source = silent_and_spoken(media, "odd.avi", *codecs)
    assert prepared(source, tmp_path).track == 1
    with pytest.raises(AudioError):
        prepared(source, tmp_path, track=0)


def test_recording_with_one_track_lists_it(media: Media, tmp_path: Path) -> None:
    found = prepared(media.speech("one.flac", 3), tmp_path)
    assert [(t["codec"], t["chosen"], t["title"]) for t in found.tracks] == [("flac", True, None)]


def test_tracks_are_read_from_the_log() -> None:
    log = """Input #0, matroska,webm, from 'fd:':
  Stream #0:0: Video: h264 (High), yuv420p, 64x64, 25 fps (default)
  Stream #0:1(eng), 1, 1/1000: Audio: ac3, 48000 Hz, 5.1(side), fltp, 384 kb/s (default)
    Metadata:
      title           : Main: Audio: 5.1
  Stream #0:2[0x3](und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, 3 channels, fltp
  Stream #0:3: Audio: pcm_s16le, 8000 Hz, mono, s16
Stream mapping:
  Stream #0:1 -> #0:0 (ac3 (native) -> pcm_s16le (native))
Output #0, wav, to 'fd:':
  Stream #0:0(eng): Audio: pcm_s16le, 24000 Hz, stereo, s16, 768 kb/s (default)
"""
    assert [*tracks(log)] == [
        Track(0, "eng", "Main: Audio: 5.1", "ac3", 6, is_default=True),
        Track(1, "", "", "aac", 3, is_default=False),
        Track(2, "", "", "pcm_s16le", 1, is_default=False),
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("track", ["", "0", "1"])
def test_track_is_chosen_by_the_upload_and_told_by_the_api(
    media: Media, api: Client, engine: ScriptedEngine, track: str
) -> None:
    content = silent_and_spoken(media, "film.mp4").read_bytes()
    created = send(api, "/api/transcriptions", content, "film.mp4", track=track)
    assert created.status_code == 202
    assert created.json()["tracks"] == []
    assert pipeline.preprocess(Transcription.objects.get().id)
    listed = api.get(created["Location"]).json()["tracks"]
    assert [each["chosen"] for each in listed] == [track == "0", track != "0"]
    assert listed[1]["language"] == "eng"


@pytest.mark.django_db
@pytest.mark.parametrize("track", ["-1", "1000", "first"])
def test_impossible_track_is_refused(api: Client, track: str) -> None:
    response = send(api, "/api/transcriptions", b"any", "film.mp4", track=track)
    assert response.status_code == 422
