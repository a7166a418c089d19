"""The error of the supervisor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings


class StackError(Exception):
    """The stack cannot run. `str()` is one line with the cause and what to do."""


@contextmanager
def os_errors_as_stack_errors() -> Iterator[None]:
    """Raise StackError for a file that cannot be written or a process that cannot be started."""
    try:
        yield
    except OSError as error:
        path = error.filename or settings.VAR_DIR  # a full disk has no file name
        raise StackError(f"Transcodio cannot start: {path}: {error.strerror}.") from error
