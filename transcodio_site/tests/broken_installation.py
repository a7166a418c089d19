"""Helpers for the tests of `manage.py doctor`: a healthy installation, and ways to break it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from transcodio_site.doctor.findings import Check, Finding
from transcodio_site.tests.backup_data import recording
from transcriptions.models import State

Break = Callable[[Any, pytest.MonkeyPatch], object]


@pytest.fixture
def installation(alice: User, settings: Any, tmp_path: Path) -> Path:
    """A healthy installation with one user and one recording; its data folder."""
    settings.VAR_DIR = settings.BASE_DIR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"
    tmp_path.chmod(0o700)
    recording(alice, State.COMPLETED)
    return tmp_path


def problems(check: Check) -> list[Finding]:
    return [finding for finding in check() if finding.is_problem]


def set_to(**values: Any) -> Break:
    """Change settings."""

    def change(settings: Any, patch: pytest.MonkeyPatch) -> None:
        for name, value in values.items():
            setattr(settings, name, value)

    return change
