"""Frameworks for voice agents, unpatched, against a running stack: recordings and live speech."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from transcodio_site.testing import Media, Stack

pytestmark = pytest.mark.clients
PYTHON = Path(sys.prefix) / "clients" / "bin" / "python"
LIMIT_S = 300


@pytest.mark.parametrize("name", ["livekit", "pipecat"])
def test_framework_transcribes_a_file_and_live_speech(
    name: str, stack: Stack, media: Media
) -> None:
    speech = media.turn()
    script = Path(__file__).with_name(f"use_{name}.py")
    command = [str(PYTHON), str(script), stack.url, stack.token(f"{name}@example.com"), str(speech)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LIMIT_S, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    printed = [line.partition(" ") for line in done.stdout.splitlines()]
    for kind in ("recognized", "final"):
        (text,) = [text for printed_kind, _, text in printed if printed_kind == kind]
        assert "walking along the harbor" in text.lower()
    assert any(kind == "interim" for kind, _, _ in printed)
