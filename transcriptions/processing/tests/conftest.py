"""Fixtures for tests of processing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from transcriptions.processing import media as media_module
from transcriptions.processing.media import PreparedAudio
from transcriptions.processing.tests.helpers import Prepare, no_check, script


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Prepare]:
    """`media.prepare` into the test's folder. Check that no other file and no process is left."""

    def run(source: Path) -> PreparedAudio:
        return media_module.prepare(source, tmp_path, no_check)

    yield run
    assert {path.name for path in tmp_path.iterdir()} <= {"audio.wav", "ffmpeg.log"}
    assert not [p for p in psutil.Process().children() if "ffmpeg" in " ".join(p.cmdline())]


@pytest.fixture
def replace_ffmpeg(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """A function that replaces FFmpeg by a program for `sh`."""

    def replace(lines: str) -> None:
        path = script(tmp_path_factory.mktemp("bin") / "ffmpeg", lines)
        monkeypatch.setattr(media_module, "ffmpeg_binary", lambda: path)
        monkeypatch.setattr(media_module, "has_fd_protocol", lambda binary: True)

    return replace


@pytest.fixture
def check_no_temporary_files(tmp_path: Path) -> Iterator[None]:
    """No temporary folder is left, however processing ended."""
    yield
    assert list((tmp_path / "tmp").glob("*")) == []
