"""pyannote.audio, or its stand-in where it is not installed.

It is large, and needs a specific release of torch: `make test-slow` installs it into a separate
environment. See `test_pyannote_package.py`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

STAND_IN = Path(__file__).parent / "stand_in"


def is_installed() -> bool:
    """Whether the real package would be imported."""
    found = find_spec("pyannote")
    folders = [*(found.submodule_search_locations or ())] if found else []
    return bool(folders) and not any(STAND_IN in Path(folder).parents for folder in folders)


def stand_ins() -> list[str]:
    """Folders for PYTHONPATH."""
    return [] if is_installed() else [str(STAND_IN)]
