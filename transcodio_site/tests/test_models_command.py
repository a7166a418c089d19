"""`manage.py models` lists the models of faster-whisper, and says why a download fails."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from gpu.model_catalog import CATALOG, local_folder
from gpu.tests.modal import hub
from transcodio_site.testing import ROOT


def test_catalog_has_the_models_of_faster_whisper() -> None:
    from faster_whisper.utils import _MODELS

    assert {model.name: model.repository for model in CATALOG.values()} == _MODELS


def test_list_says_what_each_model_needs_and_which_are_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    snapshot = "models--mobiuslabsgmbh--faster-whisper-large-v3-turbo/snapshots/abc"
    (tmp_path / "models" / snapshot).mkdir(parents=True)
    (tmp_path / "models" / snapshot / "model.bin").touch()
    out = StringIO()
    call_command("models", stdout=out)
    lines = {line[2:].split()[0]: line for line in out.getvalue().splitlines()[1:20]}
    assert lines["base"].split() == ["*", "base", "-", "74", "MB", "all", "yes"]
    assert lines["large-v3"].split() == ["large-v3", "3100", "MB", "1550", "MB", "all", "no"]
    assert lines["large-v3-turbo"].split()[-1] == "yes"
    assert lines["small.en"].split()[-2:] == ["English", "no"]


@pytest.mark.parametrize(
    ("name", "message"), [("large-v9", "Choose one of"), ("tiny", "could not be downloaded")]
)
def test_failed_download_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, message: str
) -> None:
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CommandError, match=message):
        call_command("models", download=name)


@pytest.mark.slow
def test_model_is_downloaded_once(tmp_path: Path) -> None:
    files = tmp_path / "hub"
    files.mkdir()
    (files / "config.json").write_text("{}")
    (files / "model.bin").write_bytes(bytes(3_000_000))
    (files / "README.md").write_text("not needed")
    command = [sys.executable, "manage.py", "models", "--download", "tiny"]
    with hub.serving(files, "Systran/faster-whisper-tiny") as url:
        environment = os.environ | {"VAR_DIR": str(tmp_path / "var"), "HF_ENDPOINT": url}
        first = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    # The second time, nobody answers.
    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "tiny: downloading 3 MB" in first.stderr
    assert "tiny: 3 of 3 MB are downloaded (100%)" in first.stderr
    assert "downloading" not in again.stderr
    for done in (first, again):
        assert done.returncode == 0, done.stderr
        assert done.stdout == "tiny is available. Use it with WHISPER_MODEL=tiny.\n"
    folder = local_folder("Systran/faster-whisper-tiny", tmp_path / "var" / "models")
    assert folder
    assert {file.name: file.stat().st_size for file in folder.iterdir()} == {
        "config.json": 2,
        "model.bin": 3_000_000,
    }


def test_download_of_the_installed_model_does_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    out = StringIO()
    call_command("models", download="base", stdout=out)
    assert "WHISPER_MODEL=base" in out.getvalue()
    assert list(tmp_path.iterdir()) == []
