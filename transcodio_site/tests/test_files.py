"""Files of the data folder: damaged ones, full disks, and two first starts at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from transcodio_site.demo_account import demo_account
from transcodio_site.files import stored_secret_key, write_atomically
from transcodio_site.supervisor import free_port
from transcodio_site.testing import ROOT, WAIT_S

FIRST_START = """
import sys
from pathlib import Path
from transcodio_site.files import stored_secret_key
print("ready", flush=True)
sys.stdin.read()
print(stored_secret_key(Path(sys.argv[1])))
"""


@pytest.mark.covers("fault", "Two first starts at the same time choose a secret key")
@pytest.mark.parametrize("content", [None, ""])
def test_concurrent_first_starts_use_one_secret_key(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "secret_key"
    if content is not None:
        path.write_text(content)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST_START, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.close()
    keys = set()
    for process in processes:
        assert process.stdout
        with process:
            keys.add(process.stdout.read().strip())
    assert keys == {path.read_text()}
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.covers("fault", "The secret key in the data folder is empty, cut or damaged")
@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\0" * 67, b"\xff" * 67])
def test_damaged_secret_key_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret_key"
    path.write_bytes(content)
    key = stored_secret_key(path)
    assert len(key) > 60
    assert path.read_text() == key == stored_secret_key(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_secret_key_of_the_operator_is_kept(tmp_path: Path) -> None:
    own = "a secret of my own, chosen by rolling dice: 6 1 5 2\n"
    (tmp_path / "secret_key").write_text(own)
    assert stored_secret_key(tmp_path / "secret_key") == own


@pytest.mark.covers("fault", "The disk is full while a file of the data folder is replaced")
def test_failed_replacement_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    code = f"""
import resource, signal
from pathlib import Path
from transcodio_site.files import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2, 2))
write_atomically(Path({str(path)!r}), "new content")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "File too large" in done.stderr
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.covers("fault", "The file with the demo account is empty, cut or damaged")
@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"email": "a@example.com"}',
        '{"email": 1, "password": 2, "token": 3}',
        '{"email": "", "password": "", "token": "\\ud800"}',
        "\0" * 100,
    ],
)
def test_damaged_demo_account_file_is_replaced(
    db: None, settings: Any, tmp_path: Path, content: str
) -> None:
    settings.VAR_DIR = tmp_path
    path = tmp_path / "demo_account.json"
    path.write_text(content)
    account = demo_account()
    assert User.objects.get(email=account.email).check_password(account.password)
    assert json.loads(path.read_text())["token"] == account.token
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert demo_account() == account


@pytest.mark.slow
@pytest.mark.covers("fault", "There are folders where the service has to write files")
@pytest.mark.parametrize("name", ["secret_key", "run/start.lock", "run/users.lock", "prepare.lock"])
def test_folder_in_place_of_a_file_is_reported_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "manage.py", "up", "--port", str(free_port())],
        cwd=ROOT,
        env=os.environ | {"VAR_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert str(tmp_path / name) in done.stderr
    assert "Is a directory" in done.stderr
