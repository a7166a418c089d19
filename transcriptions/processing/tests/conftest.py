"""Fixtures for tests of processing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from transcriptions.processing import media as media_module
from transcriptions.processing.media import PreparedAudio
from transcriptions.processing.tests.helpers import Prepare


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Prepare]:
    """`media.prepare` into the test's folder. Check that no other file and no process is left."""

    def run(source: Path) -> PreparedAudio:
        return media_module.prepare(source, tmp_path)

    yield run
    assert {path.name for path in tmp_path.iterdir()} <= {"audio.wav", "ffmpeg.log"}
    assert not [p for p in psutil.Process().children() if "ffmpeg" in p.name()]


@pytest.fixture
def check_no_temporary_files(tmp_path: Path) -> Iterator[None]:
    """No temporary folder is left, however processing ended."""
    yield
    assert list((tmp_path / "tmp").glob("*")) == []
