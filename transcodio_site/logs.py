"""What the log says beside each line. Loaded with the settings, before any application."""

from __future__ import annotations

import logging
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")


class RequestIdFilter(logging.Filter):
    """Puts the name of the request on log records."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes."""
        record.request_id = f" [{request_id.get()}]" if request_id.get() else ""
        return True
