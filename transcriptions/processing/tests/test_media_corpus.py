"""A corpus of hostile media: each file is converted or refused, within all limits."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gpu import pcm
from transcodio_site.testing import Media
from transcriptions.exceptions import AudioError, UnsupportedFormat
from transcriptions.processing.media import conversion, probing, program
from transcriptions.processing.tests import corpus
from transcriptions.processing.tests.helpers import no_check
from transcriptions.processing.tests.test_probe import EVERY_FORMAT
from transcriptions.testing import MP3

MAX_SECONDS = 20
MAX_BYTES = (MAX_SECONDS + 1) * pcm.SAMPLE_RATE_HZ * 2 + (1 << 20)  # with the log
ERRORS = {"corrupt_media", "no_audio", "too_long", "unsupported_format"}

Check = Callable[[bytes], str]


@pytest.fixture
def check_file(tmp_path: Path, settings: Any) -> Check:
    """A function that converts a file. Returns "completed" or the code of the error."""
    settings.MAX_DURATION_SECONDS = MAX_SECONDS
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "tmp"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()

    def check(content: bytes) -> str:
        with tempfile.TemporaryDirectory(dir=tmp_path) as name:
            source = Path(name) / "upload"
            source.write_bytes(content)
            folder = Path(name) / "job"
            folder.mkdir()
            result = _convert(source, folder)
            assert {path.name for path in folder.iterdir()} <= {"audio.wav", "ffmpeg.log"}
            assert sum(path.stat().st_size for path in folder.iterdir()) <= MAX_BYTES
        assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []
        return result

    return check


def _convert(source: Path, folder: Path) -> str:
    try:
        audio = conversion.prepare(source, folder, no_check)
    except AudioError as error:
        return error.code
    assert 0 < audio.duration <= MAX_SECONDS
    assert len(pcm.read_samples(audio.path, 0, MAX_SECONDS)) > 0
    return "completed"


def check_all(check_file: Check, contents: Iterable[bytes]) -> list[str]:
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(check_file, contents))


# --- Damage -------------------------------------------------------------------------------------


def test_corpus_has_every_format_that_ffmpeg_can_write(media: Media) -> None:
    files = [media.bytes(name, corpus.small(media, name)) for name in corpus.SMALL | corpus.RARE]
    containers = {probing.probe(path).format for path in files}
    assert containers >= {container for _, _, container in EVERY_FORMAT}


@pytest.mark.slow
@pytest.mark.covers("attack", "Recordings of every format with damaged bits")
@pytest.mark.parametrize("name", corpus.SMALL)
def test_flipped_bits(media: Media, check_file: Check, name: str) -> None:
    results = check_all(check_file, corpus.flips(corpus.small(media, name), 24, seed=1))
    assert set(results) <= ERRORS | {"completed"}
    assert "completed" in results


@pytest.mark.covers("attack", "Recordings of rare formats, damaged")
@pytest.mark.parametrize("name", corpus.RARE)
def test_rare_format_with_damage(media: Media, check_file: Check, name: str) -> None:
    content = corpus.small(media, name)
    damaged = [content, *corpus.flips(content, 6, seed=1), content[: len(content) // 2]]
    results = check_all(check_file, damaged)
    assert results[0] == "completed"
    assert set(results) <= ERRORS | {"completed"}


@pytest.mark.slow
@pytest.mark.parametrize("name", corpus.SMALL | corpus.RARE)
def test_many_flipped_bits(media: Media, check_file: Check, name: str) -> None:
    results = check_all(check_file, corpus.flips(corpus.small(media, name), 400, seed=2))
    assert set(results) <= ERRORS | {"completed"}


@pytest.mark.covers("attack", "Recordings of every format that end early")
@pytest.mark.parametrize("name", corpus.SMALL)
def test_truncated(media: Media, check_file: Check, name: str) -> None:
    results = check_all(check_file, corpus.truncations(corpus.small(media, name), 12))
    assert results[0] == "corrupt_media"
    assert set(results) <= ERRORS | {"completed"}


@pytest.mark.slow
@pytest.mark.parametrize("name", corpus.SMALL | corpus.RARE)
def test_truncated_at_every_percent(media: Media, check_file: Check, name: str) -> None:
    results = check_all(check_file, corpus.truncations(corpus.small(media, name), 1))
    assert set(results) <= ERRORS | {"completed"}


# --- Claims and bombs ---------------------------------------------------------------------------


@pytest.mark.covers("attack", "A recording of 14 kB that lasts four hours, at 1 Hz")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            corpus.wav(1, 1, 8, bytes(14_000)),
            r"\(1 Hz\) is not between 4000 and 384000 Hz\. Convert",
        ),
        (corpus.wav(3_999, 1, 8, bytes(14_000)), r"\(3999 Hz\)"),
        (corpus.wav(400_000, 1, 8, bytes(14_000)), r"\(400000 Hz\)"),
        (corpus.wav(8_000, 33, 8, bytes(33_000)), r"too many channels \(33\)\. Mix"),
    ],
)
def test_impossible_layout_is_refused_at_upload_and_by_the_worker(
    media: Media, tmp_path: Path, check_file: Check, content: bytes, message: str
) -> None:
    path = media.bytes("upload", content)
    with pytest.raises(UnsupportedFormat, match=message):
        probing.probe(path)
    assert check_file(content) == "unsupported_format"


@pytest.mark.parametrize(("hertz", "channels"), [(4_000, 1), (8_000, 2), (192_000, 8), (8_000, 24)])
def test_unusual_layout_is_accepted(
    media: Media, check_file: Check, hertz: int, channels: int
) -> None:
    content = corpus.wav(hertz, channels, 8, bytes(hertz * channels))
    assert probing.probe(media.bytes("upload", content)).has_audio
    assert check_file(content) == "completed"


@pytest.mark.covers("attack", "Recordings whose header claims days of audio")
@pytest.mark.parametrize("claimed", [0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFF00])
def test_claimed_length_is_not_believed(check_file: Check, claimed: int) -> None:
    assert check_file(corpus.wav(8_000, 1, 8, bytes(8_000), claimed)) == "completed"


@pytest.mark.covers("attack", "Recordings whose header claims 68 years of audio")
@pytest.mark.parametrize("timescales", [(), (b"mvhd",), (b"mvhd", b"mdhd")])
def test_claimed_years_of_mp4_are_not_believed(
    media: Media, check_file: Check, timescales: tuple[bytes, ...]
) -> None:
    content = bytearray(corpus.small(media, "a.m4a"))
    for kind, offset in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24)):
        position = content.index(kind) + offset
        content[position : position + 4] = b"\x7f\xff\xff\xff"
    for kind in timescales:  # one unit per second
        position = content.index(kind) + 16
        content[position : position + 4] = b"\0\0\0\1"
    assert check_file(bytes(content)) in ("completed", "too_long")


def test_claimed_year_of_matroska_is_not_believed(media: Media, check_file: Check) -> None:
    content = corpus.small(media, "a.mkv")
    position = content.index(b"\x44\x89\x88") + 3
    year_ms = struct.pack(">d", 400 * 24 * 3600 * 1000)
    claimed = content[:position] + year_ms + content[position + 8 :]
    assert check_file(claimed) in ("completed", "too_long")


@pytest.mark.covers("attack", "Recordings with thousands of streams or deeply nested tags")
def test_streams_and_nesting(media: Media, check_file: Check) -> None:
    assert check_file(corpus.many_streams(media, 600).read_bytes()) == "completed"
    assert check_file(corpus.matroska_with_tracks(1)) == "completed"
    assert check_file(corpus.matroska_with_tracks(3_000)) in ERRORS | {"completed"}
    nested = (corpus.nested_mp4(20_000), corpus.nested_matroska(3_000))
    assert set(check_all(check_file, nested)) <= {"corrupt_media", "no_audio"}
    tag = b"TXXX" + (9_000_000).to_bytes(4, "big") + bytes(2) + bytes(9_000_000)
    size = bytes(len(tag) >> shift & 0x7F for shift in (21, 14, 7, 0))
    assert check_file(b"ID3\x03\0\0" + size + tag + MP3) == "completed"


# --- References to other files ------------------------------------------------------------------

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n{}\n#EXT-X-ENDLIST\n"
SECRET = "/etc/passwd"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    f'<script>alert(1)</script><image xlink:href="file://{SECRET}"/></svg>'
)


@pytest.mark.covers("attack", "Playlists, pictures and scripts disguised as recordings")
@pytest.mark.parametrize(
    "content",
    [
        HLS.format(SECRET),
        HLS.format(f"subfile,,start,0,end,100,,:{SECRET}"),
        HLS.format(f"crypto:{SECRET}"),
        HLS.format(
            "data:audio/wav;base64,UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
        ),
        HLS.format(f"concat:{SECRET}|{SECRET}"),
        HLS.format("fd:"),
        f"ffconcat version 1.0\nfile '{SECRET}'\n",
        f";FFMETADATA1\ntitle={SECRET}\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=9\n",
        "/etc/%03d.png",
        SVG,
        "#!/bin/sh\ncat /etc/passwd\n",
        "<?php system('id'); ?>",
        "[playlist]\nFile1=/etc/passwd\nNumberOfEntries=1\n",
    ],
)
def test_disguised_text_is_refused(media: Media, check_file: Check, content: str) -> None:
    for prefix in ("", "\n" * 3000):
        text = (prefix + content).encode()
        with pytest.raises(UnsupportedFormat):
            probing.probe(media.bytes("talk.mp3", text))
        assert check_file(text) == "corrupt_media"


@pytest.fixture
def movie_with_reference(media: Media) -> bytes:
    """A movie whose sound is in another file, with bytes that occur nowhere else."""
    secret = media.bytes("secret", SECRET_BYTES * 400)
    movie = media.speech("movie.mov", 1.5, "-c:a", "pcm_s16le").read_bytes()
    return corpus.with_external_reference(movie, str(secret))


SECRET_BYTES = bytes(range(1, 256))


def test_unguarded_ffmpeg_follows_the_reference(
    media: Media, movie_with_reference: bytes, tmp_path: Path
) -> None:
    path, out = media.bytes("a.mov", movie_with_reference), tmp_path / "out"
    allowed = ["-enable_drefs", "1", "-use_absolute_path", "1"]
    command = [program.ffmpeg_binary(), "-nostdin", "-v", "quiet", *allowed]
    subprocess.run([*command, "-i", str(path), "-f", "s16le", str(out)], check=True)
    assert SECRET_BYTES in out.read_bytes()


@pytest.mark.covers("attack", "A movie whose sound is a file of the server")
def test_external_reference_of_a_movie_is_not_followed(
    media: Media, movie_with_reference: bytes, tmp_path: Path
) -> None:
    with pytest.raises(AudioError):
        conversion.prepare(media.bytes("a.mov", movie_with_reference), tmp_path, no_check)
    assert SECRET_BYTES[:100] not in (tmp_path / "audio.wav").read_bytes()


def test_attachment_is_not_written(media: Media, check_file: Check) -> None:
    attachment = media.bytes("attached.txt", b"An attachment.")
    options = ("-attach", str(attachment), "-metadata:s:t", "mimetype=text/plain")
    assert check_file(media.speech("attached.mka", 1, *options).read_bytes()) == "completed"


@pytest.mark.covers("attack", "A playlist in place of the subtitles of a video")
@pytest.mark.parametrize("script", [HLS.format(SECRET), f"ffconcat version 1.0\nfile '{SECRET}'\n"])
def test_subtitles_within_a_video_are_not_opened(
    media: Media, check_file: Check, script: str
) -> None:
    """FFmpeg opens subtitles in an AVI as a file of their own."""
    content = corpus.avi_with_subtitles(bytes(8_000), script)
    report, _ = probing._probe_report(media.bytes("upload", content))
    assert "Subtitle" in report
    assert SECRET not in report
    assert check_file(content) == "completed"
