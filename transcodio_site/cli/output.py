"""What the command line prints. Progress goes to standard error; standard output has only the
result."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

progress_console = Console(stderr=True, highlight=False)


def write_result(content: bytes) -> None:
    """Write bytes to standard output."""
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def print_error(message: str) -> None:
    """Print to standard error."""
    progress_console.print(Text(f"transcodio: {message}"), soft_wrap=True)


def clock(seconds: float | None) -> str:
    """m:ss or h:mm:ss."""
    whole = int(seconds or 0)
    minutes = f"{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 3600}:{minutes}" if whole >= 3600 else minutes.removeprefix("0")
