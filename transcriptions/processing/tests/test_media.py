"""Untrusted media into a WAV: every format we promise, every kind of damage, and traps."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from gpu import pcm
from transcodio_site.testing import WAIT_S, Media
from transcriptions import exceptions
from transcriptions.exceptions import AudioError, NoAudio, TooLong
from transcriptions.processing import media as media_module
from transcriptions.processing.media import Prepared, ffmpeg_binary

Prepare = Callable[[Path], Prepared]

FILM = ("-f", "lavfi", "-i", "testsrc=d=5:s=64x64:r=5")
SILENCE = ("-f", "lavfi", "-i", "anullsrc=r=24000:cl=mono:d=5")
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


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Prepare]:
    """`audio.prepare` into a folder of its own, in which nothing but the expected is left."""

    def work(source: Path) -> Prepared:
        return media_module.prepare(source, tmp_path)

    yield work
    assert {path.name for path in tmp_path.iterdir()} <= {"audio.wav", "ffmpeg.log"}
    assert not [p for p in psutil.Process().children() if "ffmpeg" in p.name()]


def seconds_of_sound(path: Path) -> float:
    """How much of a prepared WAV is louder than a whisper."""
    samples = pcm.read(path, 0, 1e6)
    blocks = samples[: len(samples) // 480 * 480].reshape(-1, 480)  # 20 ms
    return float((np.abs(blocks.astype(int)).max(axis=1) > 300).sum() * 0.02)


def first_sound(path: Path) -> float:
    """When it begins, in seconds."""
    return float(np.argmax(np.abs(pcm.read(path, 0, 1e6).astype(int)) > 300) / pcm.RATE)


# --- What is promised ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_every_promised_format_becomes_the_same_wav(
    media: Media, prepare: Prepare, name: str
) -> None:
    ready = prepare(media.speech(name, 5, *FORMATS[name]))
    with wave.open(str(ready.path)) as wav:
        layout = (wav.getnchannels(), wav.getframerate(), wav.getsampwidth())
        assert wav.getnframes() == pytest.approx(5 * pcm.RATE, abs=0.1 * pcm.RATE)
    assert layout == (1, 24_000, 2)
    assert ready.duration == pytest.approx(5, abs=0.1)
    assert ready.note == ""
    assert seconds_of_sound(ready.path) > 3


def film(media: Media, name: str, late: float = 0) -> Path:
    """A film of five seconds whose sound begins after `late` seconds."""
    sound = media.speech("five.wav", 5)
    return media.make(name, *FILM, "-itsoffset", str(late), "-i", str(sound))


@pytest.mark.parametrize("name", ["film.mp4", "film.mov", "film.webm"])
def test_of_a_film_the_sound_is_taken(media: Media, prepare: Prepare, name: str) -> None:
    ready = prepare(film(media, name))
    assert ready.duration == pytest.approx(5, abs=0.1)
    assert seconds_of_sound(ready.path) > 3


def test_a_recording_of_a_browser_has_no_length_and_is_whole(
    media: Media, prepare: Prepare
) -> None:
    ready = prepare(media.bytes("browser.webm", from_a_browser(media)))
    assert ready.duration == pytest.approx(5, abs=0.1)
    assert (ready.format, ready.note) == ("matroska", "")


def from_a_browser(media: Media) -> bytes:
    """WebM as MediaRecorder writes it: into a pipe, never knowing its length."""
    source = str(media.speech("five.wav", 5))
    command = [ffmpeg_binary(), "-v", "error", "-i", source, "-live", "1", "-f", "webm", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_words_agree_with_playback_when_the_sound_of_a_film_begins_late(
    media: Media, prepare: Prepare
) -> None:
    begins = first_sound(prepare(film(media, "film.mp4")).path)
    late = prepare(film(media, "late.mp4", late=3))
    assert late.duration == pytest.approx(8, abs=0.1)
    assert first_sound(late.path) - begins == pytest.approx(3, abs=0.1)


def with_a_gap(media: Media, seconds: int) -> Path:
    """Five seconds of sound, of which the last three come that much later."""
    jump = f"asetpts=PTS+gt(T\\,2)*{seconds}/TB"
    return media.make(f"gap-{seconds}.webm", "-i", str(media.speech("five.wav", 5)), "-af", jump)


def test_a_gap_in_the_times_becomes_silence(media: Media, prepare: Prepare) -> None:
    ready = prepare(with_a_gap(media, 20))
    assert ready.duration == pytest.approx(25, abs=0.1)


def test_times_that_begin_anew_lose_nothing(media: Media, prepare: Prepare) -> None:
    ready = prepare(media.bytes("twice.webm", from_a_browser(media) * 2))
    assert ready.duration == pytest.approx(10, abs=0.1)


def test_odd_and_endless_metadata_does_not_matter(media: Media, prepare: Prepare) -> None:
    titles = {
        "title": "Stream #0:0: Video: \udcff\udcfe ; Duration: 99:00:00.00",
        "artist": "\x1b[31m\n  Duration: 98:00:00.00, start",
        "comment": "long " * 20_000,
    }
    tags = [part for key, value in titles.items() for part in ("-metadata", f"{key}={value}")]
    ready = prepare(media.speech("titles.flac", 5, *tags))
    assert ready.duration == pytest.approx(5, abs=0.1)
    assert ready.note == ""


# --- Damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["plain.mp3", "plain.wav", "large.wav", "plain.webm", "plain.flac", "24bit.wav"]
)
def test_a_truncated_recording_gives_what_is_there_and_says_so(
    media: Media, prepare: Prepare, name: str
) -> None:
    whole = media.speech(name, 5, *FORMATS[name]).read_bytes()
    ready = prepare(media.bytes(f"half-{name}", whole[: len(whole) // 2]))
    assert ready.duration == pytest.approx(2.5, abs=0.3)
    assert "ends early" in ready.note
    assert "of 5 s" in ready.note


def test_a_recording_that_changes_in_the_middle_says_how_far_it_could_be_read(
    media: Media, prepare: Prepare
) -> None:
    opus = ("-c:a", "libopus")
    parts = [media.speech(f"{n}.ogg", 3, *opus, "-ac", str(n)).read_bytes() for n in (1, 2)]
    ready = prepare(media.bytes("chained.ogg", b"".join(parts)))
    assert ready.duration == pytest.approx(3, abs=0.1)
    assert ready.note == "The file is damaged: what comes after 3 s could not be read."


def test_a_wav_from_a_pipe_does_not_know_its_size_and_is_whole(
    media: Media, prepare: Prepare
) -> None:
    whole = media.speech("plain.wav", 5).read_bytes()
    ready = prepare(media.bytes("pipe.wav", whole[:4] + b"\xff" * 4 + whole[8:]))
    assert ready.duration == pytest.approx(5)
    assert ready.note == ""


def test_a_guess_of_the_length_is_no_reason_to_call_a_recording_damaged(
    media: Media, prepare: Prepare
) -> None:
    quiet = ("-f", "lavfi", "-i", "anullsrc=r=24000:cl=mono:d=20")
    loud = ("-f", "lavfi", "-i", "anoisesrc=d=20:r=24000:c=pink:seed=7")
    joined = ("-filter_complex", "concat=n=2:v=0:a=1", "-q:a", "2", "-write_xing", "0")
    ready = prepare(media.make("vbr.mp3", *quiet, *loud, *joined))
    assert ready.duration == pytest.approx(40, abs=0.2)
    assert ready.note == ""


# --- What is not the recording's fault ----------------------------------------------------------


def test_a_disk_that_is_full_does_not_cut_the_recording_short(media: Media, tmp_path: Path) -> None:
    (tmp_path / "audio.wav").symlink_to("/dev/full")
    with pytest.raises(OSError, match="no room") as refused:
        media_module.prepare(media.speech("whole.mp3"), tmp_path)
    assert exceptions.is_disk_full(refused.value)


def test_nor_does_whoever_kills_ffmpeg(
    media: Media, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = media_module._limit
    monkeypatch.setattr(media_module, "_limit", lambda pid, file_size: limit(pid, file_size=50_000))
    with pytest.raises(OSError, match="killed by signal"):
        media_module.prepare(media.speech("whole.mp3"), tmp_path)


@pytest.mark.parametrize("name", ["plain.m4a", "plain.opus", "vorbis.ogg", "plain.webm"])
def test_after_a_damaged_middle_the_times_are_still_right(
    media: Media, prepare: Prepare, name: str
) -> None:
    content = bytearray(media.speech(name, 5, *FORMATS[name]).read_bytes())
    half = len(content) // 2
    content[half : half + 1000] = bytes(1000)
    ready = prepare(media.bytes(f"hole-{name}", bytes(content)))
    assert ready.duration == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("name", ["plain.mp3", "plain.flac", "plain.wav"])
def test_a_damaged_middle_does_not_cost_the_rest(media: Media, prepare: Prepare, name: str) -> None:
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
def test_what_is_no_recording_is_refused_with_a_sentence(
    media: Media, prepare: Prepare, content: bytes
) -> None:
    with pytest.raises(AudioError, match=r"damaged: no sound .* Export or record it again"):
        prepare(media.bytes("bad.mp3", content))


def test_an_m4a_without_its_index_is_refused(media: Media, prepare: Prepare) -> None:
    whole = media.speech("plain.m4a", 5).read_bytes()
    with pytest.raises(AudioError, match="damaged"):
        prepare(media.bytes("half.m4a", whole[: len(whole) // 2]))


@pytest.mark.parametrize("name", ["empty.wav", "empty.flac", "empty.mp3"])
def test_a_recording_without_a_single_sample_is_refused(
    media: Media, prepare: Prepare, name: str
) -> None:
    with pytest.raises(AudioError, match="no sound could be read"):
        prepare(media.make(name, *SILENCE, "-t", "0"))


@pytest.mark.parametrize("name", ["picture.png", "picture.jpg"])
def test_a_picture_is_refused(media: Media, prepare: Prepare, name: str) -> None:
    with pytest.raises(AudioError):
        prepare(media.make(name, *FILM, "-frames:v", "1"))


def test_a_film_without_sound_is_told_so(media: Media, prepare: Prepare) -> None:
    with pytest.raises(NoAudio, match=r"no sound in this file\. Choose"):
        prepare(media.silent_film("silent.mp4"))


# --- Traps --------------------------------------------------------------------------------------

HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n%b\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile '%b'\n"
DASH = (
    b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    b'mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
    b'<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">'
    b"<BaseURL>%b</BaseURL></Representation></AdaptationSet></Period></MPD>"
)
SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n%b"


@pytest.fixture(scope="module")
def canaries(media: Media) -> Path:
    """The folder with recordings that nobody may hear by way of another file."""
    sound = ("-f", "lavfi", "-i", "sine=d=2")
    fragments = ("-movflags", "frag_keyframe+empty_moov+default_base_moof")
    folder = media.folder / "canaries"
    folder.mkdir(exist_ok=True)
    for name, options in (("canary.ts", ()), ("canary.wav", ()), ("canary.mp4", fragments)):
        shutil.copy(media.make(name, *sound, *options), folder)
    return folder


@pytest.mark.parametrize("extension", [None, "mp3", "wav", "source"])
@pytest.mark.parametrize(
    ("own", "script", "canary"),
    [
        ("m3u8", HLS, b"canary.ts"),
        ("ffconcat", CONCAT, b"canary.wav"),
        ("mpd", DASH, b"canary.mp4"),
        ("sdp", SDP, b""),
    ],
)
def test_no_file_makes_ffmpeg_open_another(
    canaries: Path, prepare: Prepare, own: str, script: bytes, canary: bytes, extension: str | None
) -> None:
    trap = canaries / f"trap.{extension or own}"
    trap.write_bytes(script % canary)
    with pytest.raises(AudioError):
        prepare(trap)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("open.m3u8", HLS % b"canary.ts"),
        ("open.ffconcat", CONCAT % b"canary.wav"),
        ("open.mpd", DASH % b"canary.mp4"),
    ],
)
def test_the_traps_are_real(canaries: Path, tmp_path: Path, name: str, content: bytes) -> None:
    (canaries / name).write_bytes(content)
    out = tmp_path / "heard.wav"
    command = [ffmpeg_binary(), "-nostdin", "-v", "error", "-i", str(canaries / name), str(out)]
    subprocess.run(command, check=True, timeout=WAIT_S)
    assert out.stat().st_size > 50_000


@pytest.mark.parametrize("script", [HLS, CONCAT, DASH])
def test_even_a_reader_of_playlists_could_not_reach_the_network(
    media: Media, prepare: Prepare, monkeypatch: pytest.MonkeyPatch, script: bytes
) -> None:
    monkeypatch.setattr(media_module, "DEMUXERS", f"{media_module.DEMUXERS},hls,concat,dash,mpegts")
    monkeypatch.setattr(media_module, "deadline", lambda: 10)  # the server would never answer
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = b"http://127.0.0.1:%d/canary.ts" % server.getsockname()[1]
        with pytest.raises(AudioError):
            prepare(media.bytes("net.m3u8", script % url))
        server.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has called
            server.accept()


def test_ffmpeg_is_told_to_open_nothing_but_files(
    media: Media, prepare: Prepare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(media_module, "ffmpeg_binary", lambda: "echo")
    with pytest.raises(AudioError):
        prepare(media.bytes("any.wav", b""))
    command = (tmp_path / "ffmpeg.log").read_text()
    assert "-protocol_whitelist file " in command.split("-i file:")[0]


# --- Limits -------------------------------------------------------------------------------------


def test_a_recording_that_is_too_long_is_refused_before_all_of_it_is_converted(
    media: Media, prepare: Prepare, settings: Any, tmp_path: Path
) -> None:
    settings.MAX_DURATION_SECONDS = 90
    hours = media.make("hours.flac", "-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=7200")
    assert hours.stat().st_size < 1_000_000
    with pytest.raises(TooLong, match=r"longer than 1 min 30 s\. Split it"):
        prepare(hours)
    assert (tmp_path / "audio.wav").stat().st_size < 92 * pcm.RATE * 2


def test_a_tiny_file_that_claims_hours_is_measured_by_what_it_holds(
    media: Media, prepare: Prepare
) -> None:
    content = bytearray(media.silence("claims.wav", 1).read_bytes())
    data = content.index(b"data") + 4
    content[4:8] = content[data : data + 4] = (0x7F000000).to_bytes(4, "little")
    ready = prepare(media.bytes("claims-hours.wav", bytes(content)))
    assert ready.duration == pytest.approx(1, abs=0.1)
    assert "only 1 s of" in ready.note


def test_a_bomb_of_many_channels_stays_within_its_limits(
    media: Media, prepare: Prepare, settings: Any
) -> None:
    settings.MAX_DURATION_SECONDS = 3
    bomb = media.make("bomb.flac", "-f", "lavfi", "-i", "anullsrc=r=192000:cl=7.1:d=60")
    assert bomb.stat().st_size < 1_000_000
    with pytest.raises(TooLong):
        prepare(bomb)


def test_a_gap_of_hours_stays_within_its_limits(
    media: Media, prepare: Prepare, settings: Any
) -> None:
    settings.MAX_DURATION_SECONDS = 60
    with pytest.raises(TooLong):
        prepare(with_a_gap(media, 7200))


def test_ffmpeg_has_a_deadline_and_is_gone_after_it(
    prepare: Prepare, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path_factory.mktemp("fifo") / "never-written"
    os.mkfifo(fifo)
    monkeypatch.setattr(media_module, "deadline", lambda: 0.3)
    with pytest.raises(AudioError, match=r"too long to decode\. Convert it"):
        prepare(fifo)


def test_the_deadline_grows_with_the_longest_recording(settings: Any) -> None:
    settings.MAX_DURATION_SECONDS = 3600
    assert media_module.deadline() > 120
