"""Every example of the documentation, executed against the running service."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from transcodio_site.testing import ROOT, WAIT_S, Media, Stack
from transcriptions.webhooks.signatures import new_secret, signature

HERE = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GUIDE = (ROOT / "docs" / "api.md").read_text()
WEBHOOKS = (ROOT / "docs" / "webhooks.md").read_text()
README = (ROOT / "README.md").read_text()


class Reader:
    """Somebody who types the examples, one after another, in a folder with a recording."""

    def __init__(self, url: str, token: str, folder: Path, recording: Path) -> None:
        self.url, self.folder = url, folder
        self.variables = {"TOKEN": token, "ID": ""}
        shutil.copy(recording, folder / "talk.mp3")

    def types(self, example: str) -> str:
        """What it prints. The `id` of a JSON answer becomes $ID."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", example.replace(HERE, self.url)],
            cwd=self.folder,
            env=os.environ | self.variables,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{example}\n{done.stderr}"
        answer = read(done.stdout)
        if isinstance(answer, dict) and "state" in answer:
            self.variables["ID"] = answer["id"]
        return done.stdout


@pytest.fixture(scope="module")
def talk(media: Media) -> Path:
    return media.speech("talk.mp3", 6)


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.token("guide@example.com")


@pytest.fixture
def reader(stack: Stack, token: str, tmp_path: Path, talk: Path) -> Reader:
    return Reader(stack.url, token, tmp_path, talk)


def read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


EXACT = {"state", "code", "detail", "title", "task", "error"}


def agree(told: Any, real: Any, name: str = "") -> None:
    """All that is told is there and of that kind; what an example is about is the very same."""
    if isinstance(told, dict):
        assert isinstance(real, dict)
        assert set(told) <= set(real)
        for key, value in told.items():
            agree(value, real[key], key)
    elif isinstance(told, list):
        assert isinstance(real, list)
        for value in told:
            assert real, f"{name} is empty"
            agree(value, real[0])
    elif name in EXACT or isinstance(told, int):
        assert told == real, name
    elif isinstance(told, str):
        assert isinstance(real, str), name
    elif isinstance(told, float):
        assert isinstance(real, float | int), name


def test_every_example_of_the_guide_does_what_it_says(reader: Reader) -> None:
    blocks = BLOCK.findall(GUIDE)
    assert sum(kind == "sh" for kind, _ in blocks) > 15
    printed = ""
    for kind, content in blocks:
        if kind == "sh":
            printed = reader.types(content)
        elif kind == "json":
            agree(json.loads(content), json.loads(printed))
        elif kind == "text":
            at = 0
            for line in content.splitlines():
                found = printed.find(line, at)
                assert found >= 0, f"{line!r} is not in {printed}"
                at = found + len(line)


def test_documented_code_verifies_webhook_signatures() -> None:
    (code,) = [content for kind, content in BLOCK.findall(WEBHOOKS) if kind == "python"]
    scope: dict[str, Any] = {}
    exec(compile(code, "docs/webhooks.md", "exec"), scope)  # noqa: S102
    secret, body, now = new_secret(), b'{"type":"webhook.test"}', int(time.time())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signature(secret, "msg_1", now, body),
    }
    assert scope["verified"](secret, headers, body)
    assert not scope["verified"](secret, headers, body + b" ")
    assert not scope["verified"](new_secret(), headers, body)
    old = {"webhook-timestamp": str(now - 600)}
    assert not scope["verified"](secret, headers | old, body)


def test_the_readme_s_calls_of_the_api_work(reader: Reader) -> None:
    (block,) = [content for kind, content in BLOCK.findall(README) if "curl" in content]
    stream, whole = block.split("\n\n")
    assert "event: complete" in reader.types(stream)
    assert json.loads(reader.types(whole))["segments"][0]["words"]


def test_the_readme_s_openai_example_works(reader: Reader) -> None:
    (code,) = [content for kind, content in BLOCK.findall(README) if "from openai" in content]
    code = code.replace(HERE, reader.url).replace("tk_...", reader.variables["TOKEN"])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=reader.folder,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert "walking along the harbor" in done.stdout, done.stderr
