"""Structured logs. Each line carries the ids of the request, the task and the job it belongs to,
and with OpenTelemetry those of the trace and the span.

Modules log with the standard library; structlog adds the context and renders the line. Loaded with
the settings, before any application.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars, get_contextvars
from structlog.processors import ExceptionRenderer, JSONRenderer
from structlog.tracebacks import ExceptionDictTransformer

from gpu import tracing

VALID_REQUEST_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)  # nothing that could forge a line
FORMATS = ("text", "json")
# Secrets that may be part of a path, a query string or an error: an API token, a read token, a
# client secret, the links of an invitation and of live captions, and the key of a link that resets
# a password or confirms an address.
SECRETS = re.compile(
    r"(\btk_)[\w-]{16,}|(\b(?:rt|ek)_)[\w.-]{16,}|(/(?:invited|captions)/)[\w:.-]+"
    r"|(/(?:password/reset/key|confirm-email)/)[\w:.-]+",
    re.ASCII,
)


def valid_request_id(received: str) -> str:
    """The caller's request id if it is safe to log, else a new one."""
    return received if VALID_REQUEST_ID.fullmatch(received) else uuid.uuid4().hex


def bind_request(request_id: str) -> None:
    """Add the request id to all lines that the current context logs from now on."""
    bind_contextvars(request_id=request_id)


def current_request_id() -> str:
    """The request id of the current context, empty outside of requests and their tasks."""
    return str(get_contextvars().get("request_id", ""))


def redact(line: str) -> str:
    """The line without SECRETS."""
    return SECRETS.sub(lambda match: f"{match[match.lastindex or 0]}[redacted]", line)


def logging_config(log_format: str, root_level: str, our_level: str) -> dict[str, Any]:
    """Django's LOGGING: one line per event on standard error, as `text` or `json`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [
                    structlog.contextvars.merge_contextvars,
                    _add_trace,
                    structlog.stdlib.add_log_level,
                    structlog.stdlib.add_logger_name,
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                ],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *_renderers(log_format),
                    _redact,
                ],
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["console"], "level": root_level},
        "loggers": {
            # Replaces Django's own handler, which writes every line a second time if DEBUG is set.
            "django": {"level": "INFO"},
            **{name: {"level": our_level} for name in ("accounts", "gpu", "transcriptions")},
        },
    }


def _add_trace(logger: Any, name: str, event: Any) -> Any:
    """The event with the ids of the current span, if there is one."""
    event.update(tracing.current_ids())
    return event


def _redact(logger: Any, name: str, line: str) -> str:
    return redact(line)


def _renderers(log_format: str) -> list[Any]:
    if log_format == "json":
        # Without local variables, which hold tokens, passwords and transcripts.
        tracebacks = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
        return [tracebacks, JSONRenderer()]
    return [
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        )
    ]
