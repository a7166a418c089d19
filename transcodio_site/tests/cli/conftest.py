"""Fixtures: the command line against the running service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from transcodio_site.testing import ROOT, WAIT_S, Media, Stack

Run = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = [sys.executable, "-m", "transcodio_site.cli"]


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.token("cli@example.com")


@pytest.fixture(scope="module")
def short(media: Media) -> Path:
    return media.speech("short.mp3", 6)


def cli_environment(stack: Stack, token: str, **more: str) -> dict[str, str]:
    variables = {"TRANSCODIO_SERVER": stack.url, "TRANSCODIO_TOKEN": token, "PYTHONPATH": str(ROOT)}
    return os.environ | variables | more


@pytest.fixture
def run(stack: Stack, token: str, tmp_path: Path) -> Run:
    """Run a command in an empty folder."""

    def run_cli(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *map(str, arguments)],
            cwd=tmp_path,
            env=cli_environment(stack, token, **more),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    return run_cli
