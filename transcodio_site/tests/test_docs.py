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

EXAMPLE_URL = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GUIDE = (ROOT / "docs" / "api.md").read_text()
CLIENTS = (ROOT / "docs" / "clients.md").read_text()
LIVE = (ROOT / "docs" / "live.md").read_text()
WEBHOOKS = (ROOT / "docs" / "webhooks.md").read_text()
README = (ROOT / "README.md").read_text()


class Reader:
    """Runs the examples, one after the other, in a folder with a recording."""

    def __init__(self, url: str, token: str, folder: Path, recording: Path) -> None:
        self.url, self.folder = url, folder
        self.variables = {"TOKEN": token, "ID": ""}
        shutil.copy(recording, folder / "talk.mp3")

    def run(self, example: str) -> str:
        """Run an example and return its output. The `id` in a JSON response becomes $ID."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", example.replace(EXAMPLE_URL, self.url)],
            cwd=self.folder,
            env=os.environ | self.variables,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{example}\n{done.stderr}"
        body = parse_json(done.stdout)
        if isinstance(body, dict) and body.keys() >= {"id", "state"}:
            self.variables["ID"] = body["id"]
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


def parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


EXACT_FIELDS = {"state", "code", "detail", "title", "task", "error"}


def assert_matches(example_value: Any, actual: Any, name: str = "") -> None:
    """Everything in the example exists with the same type; integers and EXACT_FIELDS are equal."""
    if isinstance(example_value, dict):
        assert isinstance(actual, dict)
        assert set(example_value) <= set(actual)
        for key, value in example_value.items():
            assert_matches(value, actual[key], key)
    elif isinstance(example_value, list):
        assert isinstance(actual, list)
        for value in example_value:
            assert actual, f"{name} is empty"
            assert_matches(value, actual[0])
    elif name in EXACT_FIELDS or isinstance(example_value, int):
        assert example_value == actual, name
    elif isinstance(example_value, str):
        assert isinstance(actual, str), name
    elif isinstance(example_value, float):
        assert isinstance(actual, float | int), name


def run_examples(reader: Reader, document: str) -> int:
    """Run the shell examples and compare what follows each. Return their number."""
    blocks = BLOCK.findall(document)
    output = ""
    for kind, content in blocks:
        if kind == "sh":
            output = reader.run(content)
        elif kind == "json":
            assert_matches(json.loads(content), json.loads(output))
        elif kind == "text":
            position = 0
            for line in content.splitlines():
                index = output.find(line, position)
                assert index >= 0, f"{line!r} is not in {output}"
                position = index + len(line)
    return sum(kind == "sh" for kind, _ in blocks)


def test_every_example_of_the_api_guide_works(reader: Reader) -> None:
    assert run_examples(reader, GUIDE) > 15


def test_shell_examples_for_clients_work(reader: Reader) -> None:
    assert run_examples(reader, CLIENTS) == 2


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


def test_readme_api_calls_work(reader: Reader) -> None:
    (block,) = [content for kind, content in BLOCK.findall(README) if "curl" in content]
    stream, whole = block.split("\n\n")
    assert "event: complete" in reader.run(stream)
    assert json.loads(reader.run(whole))["segments"][0]["words"]


def run_python(reader: Reader, code: str) -> str:
    """Run an example with the URL and the token of the test, and return its output."""
    host = EXAMPLE_URL.removeprefix("http")
    code = code.replace(host, reader.url.removeprefix("http"))
    done = subprocess.run(
        [sys.executable, "-c", code.replace("tk_...", reader.variables["TOKEN"])],
        cwd=reader.folder,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_readme_openai_example_works(reader: Reader) -> None:
    (code,) = [content for kind, content in BLOCK.findall(README) if "from openai" in content]
    assert "walking along the harbor" in run_python(reader, code)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["websockets", "openai"])
def test_examples_of_live_speech_work(reader: Reader, media: Media, library: str) -> None:
    wav = media.speech("talk.wav", 6, "-ar", "24000", "-ac", "1", "-c:a", "pcm_s16le")
    shutil.copy(wav, reader.folder / "talk.wav")
    (code,) = [c for kind, c in BLOCK.findall(LIVE) if kind == "python" and f"from {library}" in c]
    assert "walking along the harbor" in run_python(reader, code)


def test_example_of_client_secrets_works(reader: Reader) -> None:
    assert run_examples(reader, LIVE.partition("### Client secrets")[2]) == 1
