"""The error of `make` with a Python or on a machine for which there are no wheels."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from transcodio_site.testing import ROOT

CHECK = ROOT / "requirements" / "check_platform.py"
SUPPORTED = "Transcodio needs Linux on x86-64 or ARM64 with glibc 2.28 or newer, and Python 3.11"
PARSE = (
    "import pathlib, sys; [compile(pathlib.Path(p).read_text(), p, 'exec') for p in sys.argv[1:]]"
)


def find_python(version: str) -> str:
    """A Python of this version, from pyenv or from PATH. Skip the test if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    candidates = []
    with suppress(PermissionError):  # another user's
        candidates = [str(p) for p in pyenv.glob(f"{version}.*/bin/python")]
    candidates += [p for p in [shutil.which(f"python{version}")] if p]
    for candidate in candidates:
        done = subprocess.run([candidate, "-c", ""], capture_output=True, check=False)
        if done.returncode == 0:
            return candidate
    pytest.skip(f"Python {version} is not installed")


def run_make(folder: Path, python: str | None) -> subprocess.CompletedProcess[str]:
    """Run `make run` in an empty checkout where `python3` is this program, or is missing."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("sh", "make"):
        (programs / name).symlink_to(str(shutil.which(name)))
    if python:
        (programs / "python3").symlink_to(python)
    for name in ("Makefile", "requirements"):
        (folder / name).symlink_to(ROOT / name)
    return subprocess.run(
        [str(programs / "make"), "run"],
        cwd=folder,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("version", ["2.7", "3.8", "3.10"])
def test_unsupported_python_is_refused_in_one_line(tmp_path: Path, version: str) -> None:
    done = run_make(tmp_path, find_python(version))
    assert done.returncode != 0
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(lines) == 1
    assert lines[0].startswith(SUPPORTED)
    assert re.search(rf"found: Python {re.escape(version)}\.\d+\.$", lines[0])
    assert not (tmp_path / ".venv").exists()


def test_missing_python_is_reported_in_one_line(tmp_path: Path) -> None:
    done = run_make(tmp_path, None)
    assert done.returncode != 0
    assert "there is no python3 here" in done.stderr
    assert "not found" not in done.stderr


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_supported_python_passes_and_parses_every_module(version: str) -> None:
    python = find_python(version)
    done = subprocess.run([python, str(CHECK)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    folders = ("gpu", "accounts", "transcriptions", "transcodio_site")
    modules = [str(path) for folder in folders for path in (ROOT / folder).rglob("*.py")]
    subprocess.run([python, "-W", "error", "-c", PARSE, *modules], check=True)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("sys.platform = 'darwin'; platform.system = lambda: 'Darwin'", "Darwin"),
        ("sys.platform = 'win32'; platform.system = lambda: 'Windows'", "Windows"),
        ("platform.machine = lambda: 'riscv64'", "Linux on riscv64"),
        ("sys.maxsize = 2**31 - 1", "a 32-bit Python"),
        ("os.confstr = lambda name: 'glibc 2.27'", "glibc 2.27"),
        ("os.confstr = lambda name: None", "a C library other than glibc"),
        ("sys.modules['ensurepip'] = None", "Python without the module venv"),
    ],
)
def test_unsupported_platform_is_refused_in_one_line(change: str, found: str) -> None:
    code = f"import os, platform, runpy, sys; {change}; runpy.run_path({str(CHECK)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith(SUPPORTED)
    assert f"found: {found}" in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.fixture
def fresh_checkout() -> Iterator[Path]:
    """The tracked files and nothing else, in a folder of mode 0700, as `mktemp -d` makes it."""
    folder = Path(tempfile.mkdtemp(prefix="transcodio-fresh-"))
    ignored = shutil.ignore_patterns(".venv", ".git", "var", "node_modules", "*cache*")
    shutil.copytree(ROOT, folder / "checkout", ignore=ignored)
    yield folder / "checkout"
    link = folder / "checkout" / "var" / "postgres"
    if link.is_symlink():
        shutil.rmtree(link.readlink().parent)
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_fresh_checkout_runs_the_demo(fresh_checkout: Path, tmp_path: Path, version: str) -> None:
    python = find_python(version)
    (tmp_path / "python3").symlink_to(python)
    # Not the virtual environment and the data folder of these tests.
    environment = {name: value for name, value in os.environ.items() if name != "VAR_DIR"}
    done = subprocess.run(
        ["make", "demo"],
        cwd=fresh_checkout,
        env=environment | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "x real time" in done.stdout
    installed = fresh_checkout / ".venv" / "bin" / "python"
    version_of = subprocess.run(
        [installed, "--version"], capture_output=True, text=True, check=True
    )
    assert version_of.stdout.startswith(f"Python {version}.")
