"""`manage.py` reports problems that an operator can solve in one line."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest

from transcodio_site.testing import ROOT

# The tests have a database of their own: the one of the installation has no tables.
NO_TABLES = (
    "The database has no tables yet, or older ones: run `make run` or `manage.py migrate`.\n"
)


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command with these variables."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def in_terminal(typed: bytes, *arguments: str) -> str:
    """What a command prints in a terminal in which this text is typed."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "manage.py", *arguments])  # noqa: S606
    os.write(terminal, typed)
    printed = b""
    with suppress(OSError):  # the end
        while block := os.read(terminal, 4096):
            printed += block
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    return printed.decode()


@pytest.mark.slow
@pytest.mark.covers("fault", "A superuser is created before the tables")
def test_superuser_cannot_be_created_before_the_tables() -> None:
    printed = in_terminal(b"a@example.com\n", "createsuperuser")
    assert printed.replace("\r", "").endswith(NO_TABLES)


@pytest.mark.slow
def test_closed_terminal_is_no_traceback() -> None:
    printed = in_terminal(b"\x04", "createsuperuser")
    assert "Traceback" not in printed
    assert "The command asks for input" in printed


@pytest.mark.parametrize("command", ["check", "doctor", "backup"])
def test_invalid_setting_is_reported_in_one_line(command: str) -> None:
    done = manage(command, SIGNUP="sometimes")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "SIGNUP=sometimes is not valid" in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "smtp+tls://user:hunter2#x@mail.example.com:587",  # not percent-encoded
        "smtp://user:hunter2[@mail.example.com",
        "smtp://user:hunter2@mail.example.com:submission",
    ],
)
def test_error_for_an_invalid_url_does_not_contain_its_password(url: str) -> None:
    done = manage("check", EMAIL_URL=url)
    assert done.returncode == 1
    assert "EMAIL_URL is not valid" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stdout + done.stderr
