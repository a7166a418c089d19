"""What the log says beside each line. Loaded with the settings, before any application."""

from __future__ import annotations

import logging
import re
import uuid
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
NAME = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)  # nothing that could forge a line


def name_of_request(given: str) -> str:
    """What its caller calls it, if that can be written anywhere, or else a new name."""
    return given if NAME.fullmatch(given) else uuid.uuid4().hex


class RequestIdFilter(logging.Filter):
    """Puts the name of the request on log records."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes."""
        record.request_id = f" [{request_id.get()}]" if request_id.get() else ""
        return True
