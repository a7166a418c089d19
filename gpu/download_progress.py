"""The progress of a download as lines of the log."""

from __future__ import annotations

import logging
import threading
from typing import Any

from tqdm import tqdm

log = logging.getLogger(__name__)

STEP_PERCENT = 5
BYTES_PER_MB = 1_000_000


class DownloadProgress:
    """Logs a line at the beginning and for every 5% of `total` bytes. Thread-safe."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total = name, total
        self._lock = threading.Lock()
        self._logged_percent = 0
        log.info("%s: downloading %.0f MB", name, total / BYTES_PER_MB)

    def set_bytes(self, done: int) -> None:
        """`done` bytes are here. Fewer than before are ignored."""
        percent = 100 if done >= self._total else 100 * done // self._total
        with self._lock:
            if percent < self._logged_percent + STEP_PERCENT:
                return
            self._logged_percent = percent - percent % STEP_PERCENT
        log.info(
            "%s: %.0f of %.0f MB are downloaded (%d%%)",
            self._name,
            done / BYTES_PER_MB,
            self._total / BYTES_PER_MB,
            percent,
        )

    def bar_class(self) -> type[tqdm]:
        """For the Hub's client, which counts files, and bytes in up to two bars: those that have
        arrived, and those that are written."""
        progress = self

        class Bar(tqdm):  # type: ignore[misc]
            """Shows nothing; counts and reports bytes."""

            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options | {"disable": True})
                self._is_of_bytes = options.get("unit") == "B"

            def update(self, n: float | None = 1) -> None:
                """`n` more of them."""
                with progress._lock:
                    self.n += int(n or 0)
                if self._is_of_bytes:
                    progress.set_bytes(self.n)

        return Bar
