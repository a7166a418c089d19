"""What is read from FFmpeg's log and from headers, for any text and any bytes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriptions.exceptions import UnsupportedFormat
from transcriptions.processing.media import conversion, ffmpeg_log, headers

LINES = st.sampled_from(
    [
        "Format mov,mp4 probed with size=2048 and score=100",
        "Format mp3 detected only with low score of 1, misdetection possible!",
        "Input #0, mov,mp4, from 'fd:':",
        "  Duration: 00:00:05.00, start: 0.000000, bitrate: 32 kb/s",
        "  Duration: 99999999999999999999:99:99.99, start",
        "  Duration: N/A, bitrate: N/A",
        "  Stream #0:0(eng): Audio: aac (LC), 44100 Hz, stereo, fltp (default)",
        "  Stream #0:0: Audio: pcm_u8, 0 Hz, 0 channels, u8",
        "  Stream #0:0: Audio: pcm_u8, 99999999999999999999 Hz, 99999999 channels, u8",
        "Estimating duration from bitrate, this may be inaccurate",
    ]
)
KINDS = st.sampled_from([b"RIFF", b"RF64", b"FORM\0\0\0\0AIFF", b".snd", b"riff"])
LOGS = st.lists(LINES | st.text(max_size=80), max_size=12).map("\n".join)


@pytest.mark.covers("attack", "Tags of a recording that look like lines of FFmpeg's log")
@given(log=LOGS)
def test_any_log_can_be_read(log: str) -> None:
    ffmpeg_log.DETECTED.search(log)
    with suppress(UnsupportedFormat):
        ffmpeg_log.check_layout(log)
    duration = ffmpeg_log.declared_duration(log)
    assert duration >= 0
    assert isinstance(conversion._note(5.0, duration, log), str)
    assert "," not in ffmpeg_log.container(log)


@given(head=st.binary(max_size=60) | st.builds(bytes.__add__, KINDS, st.binary(max_size=60)))
def test_received_share_is_between_0_and_1(
    head: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "head"
    path.write_bytes(head)
    share = headers.received_share(path)
    assert share is None or 0 < share <= 1


@given(content=st.binary(max_size=100))
def test_any_file_has_a_duration(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / "any.wav"
    path.write_bytes(content)
    assert conversion._duration(path) == 0.0
