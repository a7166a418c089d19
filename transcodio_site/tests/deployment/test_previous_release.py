"""In a rolling release the previous release still runs after the database was migrated."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from transcodio_site.testing import ROOT

pytestmark = pytest.mark.deploy

TESTS = ("transcriptions/api/tests/test_api.py", "accounts/tests/test_tokens.py")


def git(*arguments: str) -> str:
    """The output of a git command; empty if it fails, as without a repository."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def previous_release() -> str:
    """PREVIOUS_RELEASE, which may be any commit, or the last tag of a version."""
    chosen = os.environ.get("PREVIOUS_RELEASE", "")
    tag = chosen or git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*")
    return git("rev-parse", "--verify", "--quiet", f"{tag}^{{commit}}") if tag else ""


@pytest.mark.covers("fault", "Old code runs on the database of a newer release")
def test_api_of_the_previous_release_works_on_the_new_schema(tmp_path: Path) -> None:
    commit = previous_release()
    if not commit:
        pytest.skip("this clone has no tag of a release: set PREVIOUS_RELEASE to a commit")
    archive = subprocess.run(
        ["git", "archive", commit], cwd=ROOT, capture_output=True, check=True
    ).stdout
    subprocess.run(["tar", "--extract"], cwd=tmp_path, input=archive, check=True)
    for new in (path for path in ROOT.rglob("migrations") if ".venv" not in path.parts):
        old = tmp_path / new.relative_to(ROOT)
        shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(new, old)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--exitfirst", *TESTS],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "VAR_DIR"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
