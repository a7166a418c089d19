"""Media files for tests, created with the FFmpeg that the product uses."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

from transcodio_site.sample import SAMPLE

# Seconds for anything that a test waits for. Even a busy machine must not exceed it, and only a
# failing test takes this long.
WAIT_S = 180.0

CHANGES_S = (9.75, 22.06, 34.2)  # pauses of the sample recording


class Media:
    """Media files, created on demand and deleted at the end of the test run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def speech(self, name: str, seconds: float | None = None, *options: str) -> Path:
        """The sample recording, or its first `seconds`, in the format that `name` ends with."""
        cut = [] if seconds is None else ["-t", str(seconds)]
        return self.make(name, "-i", str(SAMPLE), *cut, *options)

    def two_voices(self, name: str) -> Path:
        """The sample recording as a conversation: it is cut at CHANGES_S, and the second and the
        fourth part are spoken by another voice, a quarter lower."""
        lower = "asetrate=18000,aresample=24000,atempo=1.33333"
        edges = zip([0.0, *CHANGES_S], [*CHANGES_S, 60.0], strict=True)
        parts = [
            f"[{n}]atrim={start}:{end},asetpts=N/SR/TB{f',{lower}' if n % 2 else ''}[part{n}]"
            for n, (start, end) in enumerate(edges)
        ]
        count = len(parts)
        inputs, joined = ("".join(f"[{p}{n}]" for n in range(count)) for p in ("", "part"))
        graph = f"aresample=24000,asplit={count}{inputs};{';'.join(parts)};{joined}"
        return self.make(
            name, "-i", str(SAMPLE), "-filter_complex", f"{graph}concat=n={count}:v=0:a=1"
        )

    def turn(self) -> Path:
        """Two sentences of the sample recording and the silence after them, at 24 kHz."""
        cut = ("-t", str(CHANGES_S[0]), "-i", str(SAMPLE))
        return self.make("turn.wav", *cut, "-af", "apad=pad_dur=2", "-ar", "24000", "-ac", "1")

    def silence(self, name: str, seconds: float) -> Path:
        """Digital silence."""
        return self.make(name, "-f", "lavfi", "-i", f"anullsrc=r=24000:cl=mono:d={seconds}")

    def noise(self, name: str, seconds: float) -> Path:
        """Steady noise without any voice."""
        return self.make(
            name, "-f", "lavfi", "-i", f"anoisesrc=d={seconds}:r=24000:a=0.02:c=pink:seed=7"
        )

    def silent_film(self, name: str) -> Path:
        """A video without an audio track."""
        return self.make(name, "-f", "lavfi", "-i", "testsrc=d=1:s=64x64:r=5")

    def bytes(self, name: str, content: bytes) -> Path:
        """A file with this content."""
        path = self._path(name, sha256(content))
        path.write_bytes(content)
        return path

    def make(self, name: str, *options: str) -> Path:
        """Run FFmpeg, once for each combination of name and options."""
        from transcriptions.processing.media.program import ffmpeg_binary

        path = self._path(name, sha256(repr(options).encode()))
        if not path.exists():
            command = [ffmpeg_binary(), "-nostdin", "-v", "error", "-y", *options, str(path)]
            subprocess.run(command, check=True, timeout=WAIT_S)
        return path

    def _path(self, name: str, content: Any) -> Path:
        """A folder for each content: tests may use one name for different files."""
        folder: Path = self.folder / content.hexdigest()[:12]
        folder.mkdir(exist_ok=True)
        return folder / name
