"""FFmpeg's probe: which files are accepted as media, whatever their names are."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from transcodio_site.testing import Media
from transcriptions.exceptions import UnsupportedFormat
from transcriptions.media_formats import DEMUXERS, FORMATS
from transcriptions.processing.media import probing, program
from transcriptions.processing.media.probing import Probe, probe
from transcriptions.testing import MP3

NO_TAG = ("-id3v2_version", "0", "-write_id3v1", "0")
FRAGMENTS = ("-movflags", "frag_keyframe+empty_moov+default_base_moof")
FRAME_HEADER = b"\xff\xfb\x90\x64"  # MPEG 1 Layer III, 128 kbit/s, 44.1 kHz


# --- Accepted -----------------------------------------------------------------------------------


MONO_8_KHZ = ("-ar", "8000", "-ac", "1")
EVERY_FORMAT: list[tuple[str, tuple[str, ...], str]] = [
    ("tagged.mp3", (), "mp3"),
    ("mpeg1.mp3", ("-ar", "44100", "-b:a", "128k", *NO_TAG), "mp3"),
    ("320k.mp3", ("-ar", "48000", "-b:a", "320k", *NO_TAG), "mp3"),
    ("variable.mp3", ("-ar", "32000", "-q:a", "4", *NO_TAG), "mp3"),
    ("mpeg2.mp3", ("-ar", "22050", "-b:a", "64k", *NO_TAG), "mp3"),
    ("mpeg25.mp3", ("-ar", "8000", "-b:a", "8k", *NO_TAG), "mp3"),
    ("plain.mp2", (), "mp3"),
    ("plain.wav", (), "wav"),
    ("large.wav", ("-rf64", "always"), "wav"),
    ("24bit.wav", ("-c:a", "pcm_s24le", "-ac", "2"), "wav"),
    ("telephone.wav", ("-c:a", "pcm_mulaw", *MONO_8_KHZ), "wav"),
    ("adpcm.wav", ("-c:a", "adpcm_ima_wav"), "wav"),
    ("plain.w64", (), "w64"),
    ("plain.m4a", (), "mov"),
    ("index-first.mp4", ("-movflags", "faststart"), "mov"),
    ("fragments.mp4", FRAGMENTS, "mov"),
    ("plain.mov", (), "mov"),
    ("plain.3gp", ("-c:a", "aac"), "mov"),
    ("plain.aac", (), "aac"),
    ("plain.latm", ("-c:a", "aac"), "loas"),
    ("plain.flac", (), "flac"),
    ("plain.ogg", (), "ogg"),
    ("plain.opus", (), "ogg"),
    ("plain.webm", (), "matroska"),
    ("plain.mkv", (), "matroska"),
    ("plain.mka", ("-c:a", "aac"), "matroska"),
    ("plain.wma", (), "asf"),
    ("plain.aiff", (), "aiff"),
    ("plain.caf", (), "caf"),
    ("alac.caf", ("-c:a", "alac"), "caf"),
    ("plain.au", (), "au"),
    ("plain.amr", MONO_8_KHZ, "amr"),
    ("plain.avi", (), "avi"),
    ("plain.flv", (), "flv"),
    ("plain.ts", (), "mpegts"),
    ("plain.mpeg", (), "mpeg"),
    ("plain.mxf", ("-f", "mxf_opatom", "-c:a", "pcm_s16le"), "mxf"),
    ("plain.rm", ("-c:a", "ac3"), "rm"),
    ("plain.ac3", (), "ac3"),
    ("plain.eac3", (), "eac3"),
    ("plain.dts", ("-strict", "-2"), "dts"),
    ("plain.wv", (), "wv"),
    ("plain.tta", (), "tta"),
    ("plain.voc", (), "voc"),
    ("plain.sox", (), "sox"),
    ("plain.sf", ("-f", "ircam"), "ircam"),
]


@pytest.mark.parametrize(("name", "options", "container"), EVERY_FORMAT)
def test_every_supported_format_is_accepted_without_its_file_name(
    media: Media, name: str, options: tuple[str, ...], container: str
) -> None:
    content = media.speech(f"probe-{name}", 1, *options).read_bytes()
    assert probe(media.bytes("upload", content)) == Probe(container, has_audio=True)


def test_every_format_that_ffmpeg_can_write_is_tested() -> None:
    """FFmpeg only reads the others."""
    others = {"ape", "mpc", "mpc8", "dss", "qcp", "nistsphere"}
    assert {container for _, _, container in EVERY_FORMAT} == set(DEMUXERS.split(",")) - others


@pytest.mark.covers("attack", "A recording in a format that can name other files or run scripts")
def test_no_dangerous_demuxer_is_allowed() -> None:
    """Not even by another name: FFmpeg compares each of a demuxer's names with the list."""
    dangerous = (
        "hls,applehttp,dash,concat,ffmetadata,image2,image2pipe,lavfi,tty,sdp,rtp,rtsp,imf,"
        "webm_dash_manifest,tedcaptions,mpjpeg,swf,avisynth,vapoursynth,bluray,dvdvideo,data,srt,ass,webvtt,"
        "x11grab,fbdev,alsa,pulse,v4l2,video4linux2,libcdio,gif,png_pipe,svg_pipe,mpl2,sami"
    )
    assert set(DEMUXERS.split(",")).isdisjoint(dangerous.split(","))
    assert len(set(DEMUXERS.split(","))) == len(FORMATS)


def test_video_and_pictures_have_no_decoder(media: Media) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc=d=1:s=64x64:r=5")
    sound = str(media.speech("probe-plain.wav", 1))
    for name in ("video.mp4", "video.mkv", "video.avi", "video.ts", "video.wmv", "video.flv"):
        report, _ = probing._probe_report(media.make(name, *picture, "-i", sound))
        assert " not on whitelist" in report
        assert probe(media.make(name, *picture, "-i", sound)).has_audio


def test_codec_outside_the_allow_list_is_refused(media: Media) -> None:
    with pytest.raises(UnsupportedFormat, match=r"cannot read \(dfpwm\)\. Convert it"):
        probe(media.speech("one-bit.wav", 1, "-c:a", "dfpwm"))


@pytest.mark.parametrize(
    ("prefix", "start"),
    [
        (b"", 100),  # within a frame
        (bytes(1000), 0),
        (bytes(5000), 0),
        (bytes(5000), 100),
        (bytes(100_000), 0),
        (b"\x01\xff\x00", 0),
        (b"half a frame \xff\xfb", 0),
        (b"half a frame \xff\xfb", 100),
    ],
)
def test_mp3_with_padding_before_its_first_frame_is_accepted(
    media: Media, prefix: bytes, start: int
) -> None:
    content = media.speech("bare.mp3", 1, "-b:a", "64k", *NO_TAG).read_bytes()
    assert probe(media.bytes("upload", prefix + content[start:])) == Probe("mp3", has_audio=True)


@pytest.mark.parametrize("name", ["tagged.mp3", "plain.aac", "plain.ts"])
def test_format_is_found_behind_zeros(media: Media, name: str) -> None:
    content = media.speech(f"probe-{name}", 1).read_bytes()
    assert probe(media.bytes("upload", bytes(5000) + content)).has_audio


def test_wav_with_unknown_size_and_extra_chunks_is_accepted(media: Media) -> None:
    content = media.speech("extra.wav", 1).read_bytes()
    chunk = b"bext" + (5000).to_bytes(4, "little") + bytes(5000)
    content = content[:4] + b"\xff" * 4 + content[8:12] + chunk + content[12:]
    assert probe(media.bytes("upload", content)) == Probe("wav", has_audio=True)


def test_wrong_file_extension_does_not_matter(media: Media) -> None:
    content = media.speech("probe-plain.flac", 1).read_bytes()
    assert probe(media.bytes("talk.txt", content)) == Probe("flac", has_audio=True)


def test_video_without_audio_track_is_accepted(media: Media) -> None:
    assert probe(media.silent_film("silent.mp4")) == Probe("mov", has_audio=False)


@pytest.mark.parametrize("name", ["plain.m4a", "plain.mov"])
def test_truncated_mp4_without_its_index_is_accepted_as_damaged(media: Media, name: str) -> None:
    content = media.speech(f"probe-{name}", 1).read_bytes()
    half = media.bytes("upload", content[: len(content) // 2])
    assert probe(half) == Probe("mov", has_audio=False)


# --- Refused ------------------------------------------------------------------------------------


def zip_archive() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", random.Random(1).randbytes(5000).hex())
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"Dear diary, today I made no recording. " * 200,
        b"For free or for money",  # an MP4 may have `free` in the same place
        "Grüße".encode("utf-16"),
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        zip_archive(),
        b'{"type": "recording"}',
        b"#EXTM3U\n#EXTINF:2.0,\nhttp://example.com/a.ts\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\na.ts\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile 'a.wav'\n",
        b"[playlist]\nFile1=a.mp3\nLength1=-1\nNumberOfEntries=1\n",
        b"<!DOCTYPE html><html></html>" * 100,
        b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>',
        b"1\n00:00:00,000 --> 00:00:01,000\nHi\n\n",
        b"RIFF\x24\x00\x00\x00RMIDdata",
        b"\x7fELF\x02\x01\x01",
        b"GIF89a",
        b"\xff\xf1\x50\x80" * 100,  # headers of AAC
        b"\x47" * 20_000,  # the first byte of each packet of MPEG-TS
        b"\x00\x00\x01\xba" * 100,  # of MPEG
        b"\x0b\x77" * 5000,  # of AC-3
        b"ID3\x04\0\0\0\0\0\0" + bytes(100),
    ],
)
def test_file_that_is_not_media_is_refused(media: Media, content: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match="not a recording in a format we can read"):
        probe(media.bytes("talk.mp3", content))


@pytest.mark.parametrize("name", ["noise.png", "noise.jpg"])
@pytest.mark.parametrize("renamed", ["noise.mp3", "noise.wav", "upload"])
def test_image_is_refused_whatever_its_name(media: Media, name: str, renamed: str) -> None:
    noise = ("-f", "lavfi", "-i", "nullsrc=s=320x240,geq=random(1)*255:128:128")
    picture = media.make(name, *noise, "-frames:v", "1").read_bytes()
    with pytest.raises(UnsupportedFormat):
        probe(media.bytes(renamed, picture))


@pytest.mark.parametrize(
    "prefix",
    [
        b"",
        FRAME_HEADER,
        b"ID3\x04\0\0\0\0\0\0",
        b"\xff\xf1\x50\x80",
        b"\x0b\x77",
        b"\x00\x00\x01\xba",
    ],
    ids=["none", "MP3 frame", "ID3", "AAC frame", "AC-3 frame", "MPEG pack"],
)
@pytest.mark.parametrize("size", [200, 1000, 4096, 10_000, 1_000_000])
def test_random_bytes_are_refused_even_after_a_header(
    media: Media, prefix: bytes, size: int
) -> None:
    for seed in range(2):
        content = prefix + random.Random(seed).randbytes(size)
        with pytest.raises(UnsupportedFormat):
            probe(media.bytes("upload", content))


def test_text_after_an_mp3_frame_header_is_refused(media: Media) -> None:
    with pytest.raises(UnsupportedFormat):
        probe(media.bytes("noise.mp3", FRAME_HEADER + b"not really an MP3" * 400))


@pytest.mark.parametrize("name", ["plain.nut", "plain.sbc", "plain.adx", "plain.thd"])
def test_media_outside_the_allow_list_is_refused(media: Media, name: str) -> None:
    options = ("-ar", "48000", "-strict", "-2")
    with pytest.raises(UnsupportedFormat):
        probe(media.speech(name, 1, *options))


@given(content=st.binary(max_size=200))
@hypothesis_settings(max_examples=20, deadline=None)
def test_short_content_is_accepted_or_refused(media: Media, content: bytes) -> None:
    with suppress(UnsupportedFormat):
        assert isinstance(probe(media.bytes("upload", content)), Probe)


# --- The guard ----------------------------------------------------------------------------------


HANG = "exec tail -f /dev/null"
ReplaceFFmpeg = Callable[[str], None]


@pytest.fixture
def any_file(tmp_path: Path) -> Path:
    path = tmp_path / "upload"
    path.write_bytes(MP3)
    return path


def test_probe_has_a_timeout_and_leaves_no_process(
    any_file: Path, replace_ffmpeg: ReplaceFFmpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_ffmpeg(HANG)
    monkeypatch.setattr(probing, "PROBE_TIMEOUT_S", 0.3)
    with pytest.raises(UnsupportedFormat, match="could not be read in time"):
        probe(any_file)
    assert not [p for p in psutil.Process().children() if "tail" in p.cmdline()]


def test_probe_that_is_killed_after_it_found_a_signature_accepts_the_file(
    any_file: Path, replace_ffmpeg: ReplaceFFmpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_ffmpeg(f"echo Format wav probed with size=2048 and score=99\n{HANG}")
    monkeypatch.setattr(probing, "PROBE_TIMEOUT_S", 5.0)
    assert probe(any_file) == Probe("wav", has_audio=False)


@pytest.mark.parametrize("lines", ["echo Opening an input; kill -9 $$", "exit 1"])
def test_killed_or_silent_ffmpeg_is_not_the_fault_of_the_file(
    any_file: Path, replace_ffmpeg: ReplaceFFmpeg, lines: str
) -> None:
    replace_ffmpeg(lines)
    with pytest.raises(OSError, match="exit status"):
        probe(any_file)


def test_missing_ffmpeg_is_not_the_fault_of_the_file(
    any_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "ffmpeg_binary", lambda: "/missing/ffmpeg")
    monkeypatch.setattr(program, "has_fd_protocol", lambda binary: True)
    with pytest.raises(OSError, match="/missing/ffmpeg could not be started"):
        probe(any_file)


def test_metadata_cannot_pretend_to_be_a_detected_format(media: Media) -> None:
    title = "title=Format mp3 probed with size=2048 and score=100\nInput #0, mp3, from 'a'"
    path = media.speech("title.nut", 1, "-metadata", title)
    with pytest.raises(UnsupportedFormat):
        probe(path)
