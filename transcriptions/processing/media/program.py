"""FFmpeg: where it is, and how it is run on an untrusted file.

It runs in a sandbox: a timeout, limits on memory and output, an allow-list of demuxers, no file but
the ones that it is given, no network, and an empty environment.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import imageio_ffmpeg

from transcriptions import media_formats
from transcriptions.processing import sandbox
from transcriptions.raw_audio import RawAudio

LOG_EXCERPT_BYTES = 64_000  # read from the start of FFmpeg's log, and again from its end


def protocol() -> str:
    """How FFmpeg gets its files: from 6.0 on by descriptor (as stdin and stdout), so that it can
    open no other file and needs no permissions."""
    return "fd" if has_fd_protocol(ffmpeg_binary()) else "file"


def url(path: Path) -> str:
    """The URL of an input or output, whose file is also stdin or stdout."""
    return "fd:" if protocol() == "fd" else f"file:{path}"


def input_options(raw: RawAudio | None = None) -> dict[str, Any]:
    """The options before an input: what FFmpeg may open, and how, if it cannot find out."""
    return {
        "protocol_whitelist": protocol(),
        "format_whitelist": raw.format.demuxer if raw else media_formats.DEMUXERS,
        "codec_whitelist": ",".join(media_formats.DECODERS),
        "threads": 1,
        **(raw.input_options if raw else {}),
    }


def run(
    command: list[str],
    source: BinaryIO,
    out: BinaryIO,
    log: BinaryIO,
    timeout_s: float,
    file_size: int,
    check: Callable[[], None] = lambda: None,
) -> int:
    """See `sandbox.run`."""
    return sandbox.run(
        command,
        stdin=source,
        stdout=out,
        stderr=log,
        timeout_s=timeout_s,
        file_size=file_size,
        check=check,
        unprivileged=protocol() == "fd",
    )


def read_log(log: BinaryIO) -> str:
    """The start and the end: for a damaged file FFmpeg can write a lot in between."""
    size = log.seek(0, 2)
    log.seek(0)
    start = log.read(LOG_EXCERPT_BYTES)
    log.seek(max(len(start), size - LOG_EXCERPT_BYTES))
    return (start + log.read()).decode(errors="replace")


@cache
def ffmpeg_binary() -> str:
    """The path of the FFmpeg in the wheel, or the system's (IMAGEIO_FFMPEG_EXE overrides both).
    Absolute, because the subprocess has no PATH."""
    name = str(imageio_ffmpeg.get_ffmpeg_exe())
    return shutil.which(name) or name


@cache
def has_fd_protocol(binary: str) -> bool:
    """Whether this FFmpeg can read and write open files: version 6.0 or later."""
    listed = subprocess.run(
        [binary, "-hide_banner", "-protocols"], env={}, capture_output=True, check=False
    )
    return b"fd" in listed.stdout.split()
