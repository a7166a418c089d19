"""The guard around FFmpeg: no other file, no network, limits on time, memory and output."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu import pcm
from transcodio_site.testing import WAIT_S, Media
from transcriptions import media_formats
from transcriptions.exceptions import AudioError, TooLong
from transcriptions.processing.media import conversion
from transcriptions.processing.media.program import ffmpeg_binary
from transcriptions.processing.tests.helpers import Prepare, with_gap
from transcriptions.testing import MP3

# --- Playlists ----------------------------------------------------------------------------------

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
    """A folder with recordings that no uploaded playlist may reach."""
    sound = ("-f", "lavfi", "-i", "sine=d=2")
    fragments = ("-movflags", "frag_keyframe+empty_moov+default_base_moof")
    folder = media.folder / "canaries"
    folder.mkdir(exist_ok=True)
    for name, options in (("canary.ts", ()), ("canary.wav", ()), ("canary.mp4", fragments)):
        shutil.copy(media.make(name, *sound, *options), folder)
    return folder


@pytest.mark.covers("attack", "A playlist that names files of the server")
@pytest.mark.parametrize("extension", [None, "mp3", "wav", "source"])
@pytest.mark.parametrize(
    ("native", "script", "canary"),
    [
        ("m3u8", HLS, b"canary.ts"),
        ("ffconcat", CONCAT, b"canary.wav"),
        ("mpd", DASH, b"canary.mp4"),
        ("sdp", SDP, b""),
    ],
)
def test_playlist_opens_no_other_file(
    canaries: Path,
    prepare: Prepare,
    native: str,
    script: bytes,
    canary: bytes,
    extension: str | None,
) -> None:
    playlist = canaries / f"playlist.{extension or native}"
    playlist.write_bytes(script % canary)
    with pytest.raises(AudioError):
        prepare(playlist)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("open.m3u8", HLS % b"canary.ts"),
        ("open.ffconcat", CONCAT % b"canary.wav"),
        ("open.mpd", DASH % b"canary.mp4"),
    ],
)
def test_unguarded_ffmpeg_opens_these_playlists(
    canaries: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    (canaries / name).write_bytes(content)
    out = tmp_path / "out.wav"
    command = [ffmpeg_binary(), "-nostdin", "-v", "error", "-i", str(canaries / name), str(out)]
    subprocess.run(command, check=True, timeout=WAIT_S)
    assert out.stat().st_size > 50_000


@pytest.mark.covers("attack", "A playlist that names URLs of the internal network")
@pytest.mark.parametrize("script", [HLS, CONCAT, DASH])
def test_playlist_demuxer_cannot_reach_the_network(
    media: Media, prepare: Prepare, monkeypatch: pytest.MonkeyPatch, script: bytes
) -> None:
    monkeypatch.setattr(
        media_formats, "DEMUXERS", f"{media_formats.DEMUXERS},hls,concat,dash,mpegts"
    )
    monkeypatch.setattr(
        conversion, "conversion_timeout_s", lambda: 10
    )  # the server would never respond
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = b"http://127.0.0.1:%d/canary.ts" % server.getsockname()[1]
        with pytest.raises(AudioError):
            prepare(media.bytes("net.m3u8", script % url))
        server.setblocking(False)
        with pytest.raises(BlockingIOError):  # no connection was made
            server.accept()


# --- Limits -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.covers("attack", "Hours of silence in a few kilobytes")
def test_conversion_stops_at_the_longest_duration(
    media: Media, prepare: Prepare, settings: Any, tmp_path: Path
) -> None:
    settings.MAX_DURATION_SECONDS = 90
    hours = media.make("hours.flac", "-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=7200")
    assert hours.stat().st_size < 1_000_000
    with pytest.raises(TooLong, match=r"longer than 1 min 30 s\. Split it"):
        prepare(hours)
    assert (tmp_path / "audio.wav").stat().st_size < 92 * pcm.SAMPLE_RATE_HZ * 2


@pytest.mark.covers("attack", "A recording that claims to last for hours")
def test_declared_hours_do_not_count_as_duration(media: Media, prepare: Prepare) -> None:
    content = bytearray(media.silence("claims.wav", 1).read_bytes())
    data = content.index(b"data") + 4
    content[4:8] = content[data : data + 4] = (2_012_345_678).to_bytes(4, "little")
    audio = prepare(media.bytes("claims-hours.wav", bytes(content)))
    assert audio.duration == pytest.approx(1, abs=0.1)
    assert "only 1 s of" in audio.note


def test_output_of_many_channels_is_limited(media: Media, prepare: Prepare, settings: Any) -> None:
    settings.MAX_DURATION_SECONDS = 3
    bomb = media.make("bomb.flac", "-f", "lavfi", "-i", "anullsrc=r=192000:cl=7.1:d=60")
    assert bomb.stat().st_size < 1_000_000
    with pytest.raises(TooLong):
        prepare(bomb)


@pytest.mark.covers("attack", "A gap of hours between two timestamps")
def test_gap_of_hours_is_limited(media: Media, prepare: Prepare, settings: Any) -> None:
    settings.MAX_DURATION_SECONDS = 60
    with pytest.raises(TooLong):
        prepare(with_gap(media, 7200))


@pytest.mark.covers("attack", "A recording that FFmpeg never finishes")
def test_conversion_has_a_timeout_and_leaves_no_process(
    media: Media,
    prepare: Prepare,
    replace_ffmpeg: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace_ffmpeg("exec tail -f /dev/null")
    monkeypatch.setattr(conversion, "conversion_timeout_s", lambda: 0.3)
    with pytest.raises(AudioError, match=r"too long to decode\. Convert it"):
        prepare(media.bytes("any.wav", MP3))


def test_timeout_grows_with_the_longest_duration(settings: Any) -> None:
    settings.MAX_DURATION_SECONDS = 3600
    assert conversion.conversion_timeout_s() > 120
