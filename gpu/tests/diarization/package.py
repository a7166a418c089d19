"""pyannote.audio, or what stands in for it where it is not installed.

It is large, and needs one release of torch: `make test-slow` installs it into an environment of its
own. See `test_pyannote_package.py`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

STAND_IN = Path(__file__).parent / "stand_in"


def is_installed() -> bool:
    """Whether it is the real package that would be imported."""
    found = find_spec("pyannote")
    folders = [*(found.submodule_search_locations or ())] if found else []
    return bool(folders) and not any(STAND_IN in Path(folder).parents for folder in folders)


def stand_ins() -> list[str]:
    """Folders for PYTHONPATH."""
    return [] if is_installed() else [str(STAND_IN)]
