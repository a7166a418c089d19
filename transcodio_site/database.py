"""Limits of the web process on the database: one request never holds a connection for long."""

from __future__ import annotations

from typing import Any


def limit_statements(database: dict[str, Any], timeout_s: int) -> None:
    """Change the settings of a database so that Postgres cancels a statement after `timeout_s`, and
    one that waits for a lock after half of it. 0 means no limit: then no option is sent, because
    PgBouncer would refuse it.

    A cancelled statement raises OperationalError, which becomes a 503. The worker and the
    management commands have no limit: a migration takes as long as it needs.
    """
    if timeout_s:
        limits = f"-c statement_timeout={timeout_s}s -c lock_timeout={timeout_s * 500}ms"
        options = database["OPTIONS"]
        options["options"] = f"{options.get('options', '')} {limits}".strip()
