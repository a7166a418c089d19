"""Conversion of untrusted media to a WAV: every format and every kind of damage."""

from __future__ import annotations

import random
import subprocess
import wave
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from gpu import pcm
from transcodio_site.testing import Media
from transcriptions import exceptions
from transcriptions.exceptions import AudioError, NoAudio
from transcriptions.processing import sandbox
from transcriptions.processing.media import conversion
from transcriptions.processing.media.program import ffmpeg_binary
from transcriptions.processing.tests.corpus import wav
from transcriptions.processing.tests.helpers import Prepare, no_check, with_gap

VIDEO_OPTIONS = ("-f", "lavfi", "-i", "testsrc=d=5:s=64x64:r=5")
SILENCE_OPTIONS = ("-f", "lavfi", "-i", "anullsrc=r=24000:cl=mono:d=5")
FORMATS: dict[str, tuple[str, ...]] = {
    "plain.mp3": (),
    "old.mp3": ("-ar", "11025", "-b:a", "16k", "-id3v2_version", "0"),
    "plain.wav": (),
    "24bit.wav": ("-c:a", "pcm_s24le"),
    "telephone.wav": ("-ar", "8000", "-ac", "2"),
    "large.wav": ("-rf64", "always"),
    "plain.m4a": (),
    "plain.flac": (),
    "vorbis.ogg": ("-c:a", "libvorbis"),
    "plain.opus": (),
    "plain.webm": (),
    "plain.mov": (),
}


def audible_seconds(path: Path) -> float:
    """How much of a prepared WAV is louder than 1 % of full scale."""
    samples = pcm.read_samples(path, 0, 1e6)
    blocks = samples[: len(samples) // 480 * 480].reshape(-1, 480)  # 20 ms
    return float((np.abs(blocks.astype(int)).max(axis=1) > 300).sum() * 0.02)


def first_audible_second(path: Path) -> float:
    """Position of the first audible sample, in seconds."""
    return float(
        np.argmax(np.abs(pcm.read_samples(path, 0, 1e6).astype(int)) > 300) / pcm.SAMPLE_RATE_HZ
    )


# --- Formats ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_becomes_mono_24_khz_wav(media: Media, prepare: Prepare, name: str) -> None:
    audio = prepare(media.speech(name, 5, *FORMATS[name]))
    with wave.open(str(audio.path)) as wav:
        layout = (wav.getnchannels(), wav.getframerate(), wav.getsampwidth())
        assert wav.getnframes() == pytest.approx(
            5 * pcm.SAMPLE_RATE_HZ, abs=0.1 * pcm.SAMPLE_RATE_HZ
        )
    assert layout == (1, 24_000, 2)
    assert audio.duration == pytest.approx(5, abs=0.1)
    assert audio.note == ""
    assert audible_seconds(audio.path) > 3


def video(media: Media, name: str, delay: float = 0) -> Path:
    """A video of five seconds whose audio starts after `delay` seconds."""
    sound = media.speech("five.wav", 5)
    return media.make(name, *VIDEO_OPTIONS, "-itsoffset", str(delay), "-i", str(sound))


@pytest.mark.parametrize("name", ["video.mp4", "video.mov", "video.webm"])
def test_audio_of_video_is_extracted(media: Media, prepare: Prepare, name: str) -> None:
    audio = prepare(video(media, name))
    assert audio.duration == pytest.approx(5, abs=0.1)
    assert audible_seconds(audio.path) > 3


def test_browser_recording_without_duration_is_complete(media: Media, prepare: Prepare) -> None:
    audio = prepare(media.bytes("browser.webm", browser_recording(media)))
    assert audio.duration == pytest.approx(5, abs=0.1)
    assert (audio.format, audio.note) == ("matroska", "")


def browser_recording(media: Media) -> bytes:
    """WebM as MediaRecorder writes it: to a pipe, without a duration."""
    source = str(media.speech("five.wav", 5))
    command = [ffmpeg_binary(), "-v", "error", "-i", source, "-live", "1", "-f", "webm", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_late_audio_of_video_keeps_its_position(media: Media, prepare: Prepare) -> None:
    start = first_audible_second(prepare(video(media, "video.mp4")).path)
    delay = prepare(video(media, "delay.mp4", delay=3))
    assert delay.duration == pytest.approx(8, abs=0.1)
    assert first_audible_second(delay.path) - start == pytest.approx(3, abs=0.1)


def test_gap_in_timestamps_becomes_silence(media: Media, prepare: Prepare) -> None:
    audio = prepare(with_gap(media, 20))
    assert audio.duration == pytest.approx(25, abs=0.1)


def test_timestamps_that_restart_lose_no_audio(media: Media, prepare: Prepare) -> None:
    audio = prepare(media.bytes("twice.webm", browser_recording(media) * 2))
    assert audio.duration == pytest.approx(10, abs=0.1)


def test_hostile_metadata_is_ignored(media: Media, prepare: Prepare) -> None:
    titles = {
        "title": "Stream #0:0: Video: \udcff\udcfe ; Duration: 99:00:00.00",
        "artist": "\x1b[31m\n  Duration: 98:00:00.00, start",
        "comment": "long " * 20_000,
    }
    tags = [part for key, value in titles.items() for part in ("-metadata", f"{key}={value}")]
    audio = prepare(media.speech("titles.flac", 5, *tags))
    assert audio.duration == pytest.approx(5, abs=0.1)
    assert audio.note == ""


# --- Damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["plain.mp3", "plain.wav", "large.wav", "plain.webm", "plain.flac", "24bit.wav"]
)
def test_truncated_file_is_converted_with_a_note(media: Media, prepare: Prepare, name: str) -> None:
    whole = media.speech(name, 5, *FORMATS[name]).read_bytes()
    audio = prepare(media.bytes(f"half-{name}", whole[: len(whole) // 2]))
    assert audio.duration == pytest.approx(2.5, abs=0.3)
    assert "ends early" in audio.note
    assert "of 5 s" in audio.note


def test_chained_ogg_is_converted_up_to_the_change_with_a_note(
    media: Media, prepare: Prepare
) -> None:
    opus = ("-c:a", "libopus")
    parts = [media.speech(f"{n}.ogg", 3, *opus, "-ac", str(n)).read_bytes() for n in (1, 2)]
    audio = prepare(media.bytes("chained.ogg", b"".join(parts)))
    assert audio.duration == pytest.approx(3, abs=0.1)
    assert audio.note == "The file is damaged: what comes after 3 s could not be read."


PLACEHOLDERS = [2_000_000_000, 1_000_000_000, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFF - 36, 1 << 30]


@pytest.mark.covers("fault", "A recorder does not know the length when it writes the header")
@pytest.mark.parametrize("size", PLACEHOLDERS)
@pytest.mark.parametrize("name", ["plain.wav", "plain.au", "plain.aiff"])
def test_placeholder_in_place_of_a_size_gives_no_note(
    media: Media, prepare: Prepare, name: str, size: int
) -> None:
    content = bytearray(media.speech(name, 5).read_bytes())
    order: Literal["big", "little"] = "little" if name == "plain.wav" else "big"
    positions = [8] if name == "plain.au" else [4]
    positions += [content.index(b"data") + 4] if name == "plain.wav" else []
    positions += [content.index(b"SSND") + 4] if name == "plain.aiff" else []
    for position in positions:
        content[position : position + 4] = size.to_bytes(4, order)
    audio = prepare(media.bytes("pipe", bytes(content)))
    assert audio.duration == pytest.approx(5, abs=0.01)
    assert audio.note == ""


@pytest.mark.parametrize(
    ("name", "positions", "size"),
    [
        ("large.wav", (20, 28), 0),
        ("large.wav", (20, 28), 2_000_000_000_000),
        ("plain.w64", (16,), (1 << 64) - 1),
        ("plain.w64", (16,), 2_000_000_000_000),
    ],
)
def test_placeholder_of_64_bits_gives_no_note(
    media: Media, prepare: Prepare, name: str, positions: tuple[int, ...], size: int
) -> None:
    options = FORMATS.get(name, ())
    content = bytearray(media.speech(name, 5, *options).read_bytes())
    for position in positions:
        content[position : position + 8] = size.to_bytes(8, "little")
    audio = prepare(media.bytes("pipe", bytes(content)))
    assert audio.duration == pytest.approx(5, abs=0.01)
    assert audio.note == ""


def test_wav_whose_sizes_are_zero_is_complete(media: Media, prepare: Prepare) -> None:
    content = wav(8_000, 1, 16, bytes(80_000), claimed=0)
    audio = prepare(media.bytes("crashed.wav", content[:4] + bytes(4) + content[8:]))
    assert audio.duration == pytest.approx(5, abs=0.01)
    assert audio.note == ""


@pytest.mark.parametrize(("format", "precision_s"), [("wav", 0.01), ("avi", 0.1)])
def test_file_from_a_pipe_is_complete(
    media: Media, prepare: Prepare, format: str, precision_s: float
) -> None:
    command = [ffmpeg_binary(), "-v", "error", "-i", str(media.speech("five.wav", 5))]
    piped = subprocess.run([*command, "-f", format, "-"], capture_output=True, check=True).stdout
    audio = prepare(media.bytes(f"pipe.{format}", piped))
    assert audio.duration == pytest.approx(5, abs=precision_s)
    assert audio.note == ""


def test_round_size_of_a_small_file_is_believed(media: Media, prepare: Prepare) -> None:
    content = wav(8_000, 1, 16, bytes(160_000), claimed=1_000_000)
    assert "only 10 s of 1 min" in prepare(media.bytes("part.wav", content)).note


@pytest.mark.parametrize("name", ["video.mp4", "video.mkv", "video.avi", "video.ts", "video.flv"])
def test_sound_that_ends_before_the_pictures_gives_no_note(
    media: Media, prepare: Prepare, name: str
) -> None:
    two = str(media.speech("two.wav", 2))
    audio = prepare(media.make(f"short-{name}", *VIDEO_OPTIONS, "-i", two))
    assert audio.duration == pytest.approx(2, abs=0.1)
    assert audio.note == ""


def test_video_that_ends_early_gets_a_note(media: Media, prepare: Prepare) -> None:
    content = video(media, "whole.mkv").read_bytes()
    audio = prepare(media.bytes("half.mkv", content[: len(content) // 2]))
    assert "ends early" in audio.note


def test_estimated_duration_gives_no_note(media: Media, prepare: Prepare) -> None:
    quiet = ("-f", "lavfi", "-i", "anullsrc=r=24000:cl=mono:d=20")
    loud = ("-f", "lavfi", "-i", "anoisesrc=d=20:r=24000:c=pink:seed=7")
    joined = ("-filter_complex", "concat=n=2:v=0:a=1", "-q:a", "2", "-write_xing", "0")
    audio = prepare(media.make("vbr.mp3", *quiet, *loud, *joined))
    assert audio.duration == pytest.approx(40, abs=0.2)
    assert audio.note == ""


# --- Errors that are not the recording's fault --------------------------------------------------


def test_full_disk_raises_oserror(media: Media, tmp_path: Path) -> None:
    (tmp_path / "audio.wav").symlink_to("/dev/full")
    with pytest.raises(OSError, match="no space left") as refused:
        conversion.prepare(media.speech("whole.mp3"), tmp_path, no_check)
    assert exceptions.is_disk_full(refused.value)


def test_killed_ffmpeg_raises_oserror(
    media: Media, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sandbox.run

    def limited(command: list[str], **options: Any) -> int:
        return run(command, **options | {"file_size": 50_000})

    monkeypatch.setattr(sandbox, "run", limited)
    with pytest.raises(OSError, match="killed by signal"):
        conversion.prepare(media.speech("whole.mp3"), tmp_path, no_check)


@pytest.mark.parametrize("name", ["plain.m4a", "plain.opus", "vorbis.ogg", "plain.webm"])
def test_damaged_middle_keeps_the_timestamps(media: Media, prepare: Prepare, name: str) -> None:
    content = bytearray(media.speech(name, 5, *FORMATS[name]).read_bytes())
    half = len(content) // 2
    content[half : half + 1000] = bytes(1000)
    audio = prepare(media.bytes(f"hole-{name}", bytes(content)))
    assert audio.duration == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("name", ["plain.mp3", "plain.flac", "plain.wav"])
def test_damaged_middle_keeps_the_rest(media: Media, prepare: Prepare, name: str) -> None:
    content = bytearray(media.speech(name, 5, *FORMATS[name]).read_bytes())
    half = len(content) // 2
    content[half : half + 1000] = bytes(1000)
    assert prepare(media.bytes(f"hole-{name}", bytes(content))).duration > 4.5


NOISE = random.Random(3).randbytes(100_000)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"R",
        b"Dear diary, today I made no recording. " * 200,
        b"1\n00:00:00,000 --> 00:00:01,000\nHi\n\n",
        b"\xff\xfb\x90\x64" + NOISE,
        b"ID3\x04\0\0\0\0\0\0" + NOISE,
    ],
    ids=["nothing", "one byte", "text", "subtitles", "noise like MP3", "noise like ID3"],
)
def test_file_without_audio_data_is_refused_as_damaged(
    media: Media, prepare: Prepare, content: bytes
) -> None:
    with pytest.raises(AudioError, match=r"damaged: no audio .* Export or record it again"):
        prepare(media.bytes("bad.mp3", content))


def test_m4a_without_index_is_refused(media: Media, prepare: Prepare) -> None:
    whole = media.speech("plain.m4a", 5).read_bytes()
    with pytest.raises(AudioError, match="damaged"):
        prepare(media.bytes("half.m4a", whole[: len(whole) // 2]))


@pytest.mark.parametrize("name", ["empty.wav", "empty.flac", "empty.mp3"])
def test_file_without_samples_is_refused(media: Media, prepare: Prepare, name: str) -> None:
    with pytest.raises(AudioError, match="no audio could be read"):
        prepare(media.make(name, *SILENCE_OPTIONS, "-t", "0"))


@pytest.mark.parametrize("name", ["picture.png", "picture.jpg"])
def test_image_is_refused(media: Media, prepare: Prepare, name: str) -> None:
    with pytest.raises(AudioError):
        prepare(media.make(name, *VIDEO_OPTIONS, "-frames:v", "1"))


def test_video_without_audio_track_raises_no_audio(media: Media, prepare: Prepare) -> None:
    with pytest.raises(NoAudio, match=r"no sound in this file\. Choose"):
        prepare(media.silent_film("silent.mp4"))
