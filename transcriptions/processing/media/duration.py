"""The duration of a file that does not declare it, as a browser records: found by reading through
the file without decoding it, some ten times as fast."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import ffmpeg

from transcriptions.processing.media import ffmpeg_log, program
from transcriptions.processing.media.conversion import Selection

READING_TIMEOUT_S = 10.0  # an hour of sound takes 0.5 to 2 s, the pictures of a film longer
LOG_LIMIT_BYTES = 8 << 20


def measure_duration(
    source: Path, folder: Path, check: Callable[[], None], selection: Selection
) -> float:
    """Seconds until the end of the track; 0 if it cannot be read to its end within
    READING_TIMEOUT_S. As wrong as a header can be: the times in the file are believed.

    Raises what `check` raises, which is called several times per second.
    """
    command = (
        ffmpeg.input(program.url(source), **program.input_options(selection.raw))
        .output("-", map=f"0:a:{selection.track}", c="copy", format="null")
        .global_args("-nostdin", "-hide_banner", "-nostats")
        .compile(cmd=program.ffmpeg_binary())
    )
    with (folder / "reading.log").open("w+b") as log, source.open("rb") as media:
        try:
            limits = (READING_TIMEOUT_S, LOG_LIMIT_BYTES)
            status = program.run(command, media, log, log, *limits, check)
        except subprocess.TimeoutExpired:
            return 0.0
        return ffmpeg_log.time_read(program.read_log(log)) if status == 0 else 0.0
