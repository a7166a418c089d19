"""Audio at natural speed, from a microphone, a file or a pipe, through FFmpeg."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import cast

from transcodio_site.cli.client import ApiError

RATE_HZ = 24_000
BYTES_PER_SECOND = 2 * RATE_HZ
CHUNK_BYTES = BYTES_PER_SECOND // 10
STDIN = Path("-")
OUTPUT = ("-vn", "-ac", "1", "-ar", str(RATE_HZ), "-f", "s16le", "-flush_packets", "1", "pipe:1")


class AudioUnavailable(ApiError):
    """There is no FFmpeg, or it cannot open the microphone or the file."""


def program() -> str:
    """FFmpeg: that of the system, or of the wheel if it is installed. Raises AudioUnavailable."""
    if found := shutil.which("ffmpeg"):
        return found
    with suppress(ImportError):
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    raise AudioUnavailable("FFmpeg is not installed. Install it: https://ffmpeg.org/download.html")


def command(file: Path | None, device: str, raw_rate_hz: int | None) -> list[str]:
    """FFmpeg's arguments. Without a file, the microphone is used. Raises AudioUnavailable."""
    ffmpeg = program()
    if file is None:
        source = _microphone(ffmpeg, device)
    else:
        raw = ["-f", "s16le", "-ar", str(raw_rate_hz), "-ac", "1"] if raw_rate_hz else []
        source = ["-re", *raw, "-i", "pipe:0" if file == STDIN else f"file:{file}"]
    options = ["-hide_banner", "-nostats", "-loglevel", "error"]
    if file != STDIN:
        options.append("-nostdin")
    return [ffmpeg, *options, *source, *OUTPUT]


def _microphone(ffmpeg: str, device: str) -> list[str]:
    if sys.platform == "darwin":
        return ["-f", "avfoundation", "-i", f":{device or 'default'}"]
    if sys.platform == "win32":
        name = device or _first_windows_device(ffmpeg)
        return ["-f", "dshow", "-audio_buffer_size", "50", "-i", f"audio={name}"]
    listed = _output([ffmpeg, "-hide_banner", "-devices"])
    for system in ("pulse", "alsa"):
        if re.search(rf"^\s*D\S*\s+{system}\b", listed, re.MULTILINE):
            return ["-f", system, "-i", device or "default"]
    raise AudioUnavailable(
        "This FFmpeg cannot use a microphone: it supports neither PulseAudio nor ALSA."
    )


def _first_windows_device(ffmpeg: str) -> str:
    options = ("-hide_banner", "-list_devices", "true", "-f", "dshow")
    listed = _output([ffmpeg, *options, "-i", "dummy"])
    if found := re.search(r'"([^"]+)" \(audio\)', listed):
        return found[1]
    raise AudioUnavailable("No microphone was found. Name it with --device.")


def _output(arguments: list[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return (done.stdout + done.stderr).decode(errors="replace")


class Recorder:
    """FFmpeg while it runs."""

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self._is_stopped = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """16-bit samples of one channel at RATE_HZ. Raises AudioUnavailable."""
        self._process = process = await asyncio.create_subprocess_exec(
            *self._arguments,
            stdin=None,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: we end it
        )
        output = cast("asyncio.StreamReader", process.stdout)
        errors = asyncio.create_task(cast("asyncio.StreamReader", process.stderr).read())
        try:
            while chunk := await output.read(CHUNK_BYTES):
                yield chunk
            status, text = await process.wait(), (await errors).decode(errors="replace").strip()
            if status and not self._is_stopped:
                raise AudioUnavailable(f"FFmpeg: {text.splitlines()[-1] if text else status}")
        finally:
            self.stop()
            errors.cancel()

    def stop(self) -> None:
        """No more audio."""
        self._is_stopped = True
        if self._process and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
