#!/usr/bin/env python
"""Django's command line. The embedded servers run as long as the command."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

# Commands that need no settings, and those that need no database.
WITHOUT_SETTINGS = {"help", "version", "--help", "--version"}
WITHOUT_SERVERS = {
    "collectstatic",
    "check",
    "engine_check",
    "doctor",  # starts them itself, and reports why they do not start
}


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "transcodio_site.settings")
    from django.core.management import execute_from_command_line

    # A command that is terminated must still stop the servers that it started.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    if len(sys.argv) < 2 or sys.argv[1] in WITHOUT_SETTINGS:
        execute_from_command_line(sys.argv)
        return
    arguments = _embedded_servers()
    if sys.argv[1] in WITHOUT_SERVERS:
        execute_from_command_line(sys.argv)
        return
    from django.db.utils import ProgrammingError
    from psycopg.errors import UndefinedColumn, UndefinedTable

    from transcodio_site.embedded import EmbeddedError, servers

    try:
        with servers(**arguments):
            execute_from_command_line(sys.argv)
    except EmbeddedError as error:
        sys.exit(f"Transcodio cannot start: {error}")
    except ProgrammingError as error:
        if not isinstance(error.__cause__, UndefinedTable | UndefinedColumn):
            raise
        sys.exit(
            "The database has no tables yet, or older ones: run `make run` or `manage.py migrate`."
        )
    except EOFError:  # such as `createsuperuser` from a script
        sys.exit("The command asks for input: run it in a terminal, or see its --help.")
    except KeyboardInterrupt:
        sys.exit(130)


def _embedded_servers() -> dict[str, Any]:
    """The arguments of `servers()`. Importing the settings creates the data folder."""
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    try:
        return settings.EMBEDDED_SERVERS
    except ImproperlyConfigured as error:
        sys.exit(f"Transcodio cannot start: {error}")
    except OSError as error:
        path = error.filename or "the data folder"  # a full disk has no file name
        sys.exit(f"Transcodio cannot start: {path}: {error.strerror}")


if __name__ == "__main__":
    main()
