"""Runs code with the models of a running service, without loading the application each time."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from typing import IO, Any

PASSWORD = "correct horse battery"  # noqa: S105 - of the accounts of the tests
ROOT = Path(__file__).resolve().parent.parent


class Shell:
    """A process that has loaded the application with this environment, and forks for each piece of
    code."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "transcodio_site.testing_shell"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str) -> str:
        """What the code prints. Raises AssertionError with its traceback."""
        if not (self.process.stdin and self.process.stdout):
            raise AssertionError("it has no pipes")
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if answer["error"]:
            raise AssertionError(answer["error"])
        printed: str = answer["printed"]
        return printed

    def close(self) -> None:
        """Stop the process."""
        self.process.communicate()


def hash_once(password: str) -> None:
    """A secure hash is slow on purpose: new accounts with this password share one."""
    from django.contrib.auth.hashers import get_hasher

    hasher = get_hasher()
    known, encode = hasher.encode(password, hasher.salt()), type(hasher).encode

    def encode_once(self: Any, text: str, salt: str, *iterations: int) -> str:
        if text == password and not iterations:
            return known
        return encode(self, text, salt, *iterations)

    type(hasher).encode = encode_once  # type: ignore[method-assign, assignment]


def serve(lines: IO[str], answers: IO[str]) -> None:
    """Run each line, some code as JSON, in a child, so that no connection outlives a server."""
    for line in lines:
        if not (child := os.fork()):
            answers.write(json.dumps(_run(json.loads(line))) + "\n")
            answers.flush()
            os._exit(0)
        os.waitpid(child, 0)


def _run(code: str) -> dict[str, str]:
    error, printed = "", io.StringIO()
    with redirect_stdout(printed):
        try:
            exec(code, {})  # noqa: S102
        except BaseException:
            error = traceback.format_exc()
    return {"printed": printed.getvalue(), "error": error}


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "transcodio_site.settings")
    django.setup()
    from django.urls import get_resolver

    hash_once(PASSWORD)

    get_resolver().url_patterns  # noqa: B018  loads all views
    serve(sys.stdin, sys.stdout)
