"""The Chromium of this machine, which Playwright drives."""

from __future__ import annotations

import shutil

# The headless shell draws no invisible windows, and takes a quarter of the CPU time.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]


def find_browser(*names: str) -> str | None:
    """The path of the first of these programs, or of any Chromium. None if there is none."""
    return next(
        filter(None, map(shutil.which, names or ("chromium-headless-shell", *BROWSERS))), None
    )
