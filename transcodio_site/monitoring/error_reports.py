"""Reports of unexpected errors to Sentry, if SENTRY_DSN is set, without anything that users wrote.

Messages of errors can quote transcripts, file names, addresses and tokens, so none is sent. A
report says what failed and where; its `request_id` finds the complete log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from structlog.contextvars import get_contextvars

from gpu import tracing
from transcodio_site import __version__
from transcodio_site.logs import VALID_REQUEST_ID, redact
from transcodio_site.monitoring.telemetry import missing_package

Event = dict[str, Any]

# Everything else that the SDK collects is dropped: request, user, breadcrumbs, extra, local
# variables, arguments of tasks.
EVENT_FIELDS = (
    *("event_id", "timestamp", "level", "platform", "logger", "release", "environment", "sdk"),
    *("server_name", "transaction"),
)
EXCEPTION_FIELDS = ("type", "module")
FRAME_FIELDS = (
    *("filename", "abs_path", "function", "module", "lineno", "in_app"),
    *("pre_context", "context_line", "post_context"),  # our source text
)
TAGS = ("request_id", "job_id", "task", "task_id", "trace_id")
ID = re.compile(r"[0-9a-f-]{36}|\d+", re.ASCII)


def start() -> None:
    """Report the unexpected errors of this process, if configured. Raises ImproperlyConfigured."""
    if not settings.SENTRY_DSN:
        return
    try:
        import sentry_sdk
        from sentry_sdk.integrations.celery import CeleryIntegration
        from sentry_sdk.integrations.django import DjangoIntegration
    except ImportError:
        raise missing_package("SENTRY_DSN") from None
    sentry_sdk.init(
        settings.SENTRY_DSN,
        release=f"transcodio@{__version__}",
        environment=settings.SENTRY_ENVIRONMENT,
        auto_enabling_integrations=False,
        integrations=[DjangoIntegration(), CeleryIntegration(propagate_traces=False)],
        before_send=only_what_is_known,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
    )


def stop() -> None:
    """Send pending reports."""
    if settings.SENTRY_DSN:
        import sentry_sdk

        sentry_sdk.flush()


def only_what_is_known(event: Any, hint: Any) -> Any:
    """A new event with only those fields that cannot contain what a user wrote."""
    kept: Event = _only(EVENT_FIELDS, event)
    if "exception" in event:
        kept["exception"] = {"values": [_exception(e) for e in event["exception"]["values"]]}
    if event.get("transaction_info", {}).get("source") == "url":  # the path of no route
        kept.pop("transaction", None)
    if template := event.get("logentry", {}).get("message"):
        kept["logentry"] = {"message": template}  # without the values that it is filled with
    kept["tags"] = dict(_tags())
    return kept


def _tags() -> Iterator[tuple[str, str]]:
    """The ids from the log context. The first argument of a task may be something other than an
    id."""
    context = get_contextvars() | tracing.current_ids()
    for name in TAGS:
        value = str(context.get(name, ""))
        if re.fullmatch(ID if name == "job_id" else VALID_REQUEST_ID, value):
            yield name, redact(value)


def _exception(exception: Event) -> Event:
    kept = _only(EXCEPTION_FIELDS, exception)
    frames = (exception.get("stacktrace") or {}).get("frames", [])
    return kept | {"stacktrace": {"frames": [_only(FRAME_FIELDS, frame) for frame in frames]}}


def _only(names: tuple[str, ...], fields: Event) -> Event:
    return {name: fields[name] for name in names if name in fields}
