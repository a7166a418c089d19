"""Subtitles as tracks of a video: written and read back by FFmpeg."""

from __future__ import annotations

import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import srt

from transcodio_site.testing import WAIT_S, Media
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.tests.transcripts import segment, transcript
from transcriptions.processing.media.program import ffmpeg_binary

TALK = transcript(
    segment(0.0, 1.5, "Guten Morgen, 世界!"),
    segment(1.5, 3.25, "Tom & Jerry: 1 < 2."),
    segment(5.04, 7.0, "Later."),
)


def run(*arguments: str) -> bytes:
    command = [ffmpeg_binary(), "-nostdin", "-v", "error", "-y", *arguments]
    return subprocess.run(command, check=True, timeout=WAIT_S, capture_output=True).stdout


@pytest.mark.parametrize(
    ("format", "container", "codec"),
    [
        ("srt", "mp4", "mov_text"),
        ("srt", "mkv", "copy"),
        ("vtt", "mp4", "mov_text"),
        ("vtt", "mkv", "copy"),
        ("ass", "mkv", "copy"),
    ],
)
def test_file_is_a_track_of_a_video(
    media: Media, tmp_path: Path, format: str, container: str, codec: str
) -> None:
    film = media.silent_film("film.mp4")
    subtitles, muxed = tmp_path / f"talk.{format}", tmp_path / f"film.{container}"
    subtitles.write_bytes(EXPORTERS[format].write(TALK, ExportOptions()))
    run("-i", str(film), "-i", str(subtitles), "-c:v", "copy", "-c:s", codec, str(muxed))
    read = [*srt.parse(run("-i", str(muxed), "-map", "0:s:0", "-f", "srt", "-").decode())]
    lines = (re.sub("</?font[^>]*>", "", each.content) for each in read)  # FFmpeg's, for ASS
    said = " ".join(line.replace("\n", " ") for line in lines)
    assert said == " ".join(each["text"] for each in TALK.segments)
    assert read[0].start == timedelta(0)
    assert read[-1].start == timedelta(seconds=5, milliseconds=40)
    assert all(each.start < each.end for each in read)
