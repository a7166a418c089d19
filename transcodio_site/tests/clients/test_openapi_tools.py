"""Linters and generators that read the OpenAPI document, in their own versions from npm."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from transcodio_site.testing import Media, Stack
from transcodio_site.tests.test_openapi import DOCUMENT

pytestmark = pytest.mark.clients
HERE = Path(__file__).parent
MODULES = Path(sys.prefix) / "clients" / "node_modules"
LIMIT_S = 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the document, in which the tools of npm are installed."""
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT))
    (tmp_path / ".spectral.yaml").write_text("extends: ['spectral:oas']")
    (tmp_path / "node_modules").symlink_to(MODULES)
    for name in ("package.json", "openapi-ts.config.mjs", "tsconfig.json", "use_typescript.ts"):
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


def run(folder: Path, program: str, *arguments: str) -> str:
    """The output of a program of npm, or of Node itself."""
    executable = "node" if program == "node" else str(MODULES / ".bin" / program)
    done = subprocess.run(
        [executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_linters_find_no_error(folder: Path) -> None:
    report = json.loads(run(folder, "redocly", "lint", "openapi.json", "--format=json"))
    assert report["totals"]["errors"] == 0
    run(folder, "spectral", "lint", "openapi.json", "--fail-severity=error")


def test_linters_find_an_error(folder: Path) -> None:
    broken = DOCUMENT | {"paths": DOCUMENT["paths"] | {"/broken/{id}": {"get": {}}}}
    (folder / "openapi.json").write_text(json.dumps(broken))
    for command in (("redocly", "lint", "openapi.json"), ("spectral", "lint", "openapi.json")):
        with pytest.raises(AssertionError, match="broken"):
            run(folder, *command)


def test_typescript_client_compiles_and_uploads(folder: Path, stack: Stack, media: Media) -> None:
    run(folder, "openapi-ts")
    run(folder, "tsc")
    token = stack.token("typescript@example.com")
    recording = str(media.speech("typescript.mp3", 6))
    printed = run(folder, "node", "out/use_typescript.js", stack.url, token, recording)
    assert printed.startswith("Generated ")
    assert "walking along the harbor" in printed
