"""A Whisper model is downloaded when it is loaded, with the progress in the log."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gpu import config
from gpu.download_progress import DownloadProgress
from gpu.model_catalog import fetch
from gpu.tests.modal import hub
from gpu.types import EngineUnavailable
from gpu.weights import whisper_base

ROOT = Path(__file__).parents[2]
LOAD = """
import logging
from gpu.whisper.engine import WhisperEngine
logging.basicConfig(format="%(name)s %(levelname)s %(message)s", level=logging.INFO)
engine = WhisperEngine("small")
print(engine._load()[0].is_multilingual, engine._full_name)
"""
LINE = re.compile(
    r"^gpu\.download_progress INFO small: (\d+) of (\d+) MB are downloaded \((\d+)%\)$",
    re.MULTILINE,
)


@pytest.mark.slow
def test_loading_downloads_the_model_and_logs_the_progress(tmp_path: Path) -> None:
    files = whisper_base(config.models_dir())  # in place of those of a larger model
    with hub.serving(files, "Systran/faster-whisper-small") as url:
        environment = os.environ | {"VAR_DIR": str(tmp_path), "HF_ENDPOINT": url}
        done = _load(environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True whisper-small\n"
    size = sum(file.stat().st_size for file in files.iterdir())
    assert f"INFO small: downloading {size / 1e6:.0f} MB" in done.stderr
    lines = [tuple(map(int, line)) for line in LINE.findall(done.stderr)]
    assert len(lines) > 3
    assert lines == sorted(set(lines))
    assert lines[-1] == (round(size / 1e6), round(size / 1e6), 100)
    again = _load(environment)  # nobody answers
    assert again.stdout == done.stdout
    assert "download" not in again.stderr


def _load(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LOAD]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_progress_is_logged_once_for_every_5_percent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bar_class = DownloadProgress("large", 2_000_000_000).bar_class()
    arrived, written, files = (bar_class(unit=unit) for unit in ("B", "B", "it"))
    files.update(5)
    for _ in range(200):
        arrived.update(10_000_000)
        written.update(10_000_000)
    messages = [record.getMessage() for record in caplog.records]
    assert messages[:2] == [
        "large: downloading 2000 MB",
        "large: 100 of 2000 MB are downloaded (5%)",
    ]
    assert len(messages) == 1 + 20
    assert messages[-1] == "large: 2000 of 2000 MB are downloaded (100%)"


def test_unknown_model_is_refused_without_a_request(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="Choose one of tiny"):
        fetch("large-v9", tmp_path)
