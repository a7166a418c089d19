"""Words on standard output while they are spoken."""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from transcodio_site.cli.output import print_error, write_result

Json = dict[str, Any]


def printer(as_json: bool) -> LivePrinter:
    """The printer for this output."""
    if as_json:
        return JsonPrinter()
    return TerminalPrinter() if sys.stdout.isatty() else LinePrinter()


class LivePrinter:
    """Shows the messages of a live session. Used as a context manager."""

    last_event: Json | None = None

    def __enter__(self) -> LivePrinter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop displaying."""

    def show(self, message: Json) -> None:
        """Show one message."""
        match message["type"]:
            case "partial":
                firm = message["text"].removesuffix(message["tentative"])
                self.show_words(firm, message["tentative"])
            case "progress":
                self.show_segment(message["segment"]["text"])
            case "ended" if message["reason"] != "stopped":
                print_error(message["detail"])
            case "complete" | "error":
                self.last_event = message

    def show_words(self, firm: str, tentative: str) -> None:
        """The words so far of a segment that is not complete."""

    def show_segment(self, text: str) -> None:
        """A segment is complete."""


class JsonPrinter(LivePrinter):
    """Prints each event on its own line."""

    def show(self, message: Json) -> None:
        """Print one event, except for those that only confirm audio."""
        if message["type"] not in ("received", "committed"):
            write_result(f"{json.dumps(message, ensure_ascii=False)}\n".encode())
        if message["type"] in ("complete", "error"):
            self.last_event = message


class LinePrinter(LivePrinter):
    """Firm words as they arrive, one segment per line."""

    def __init__(self) -> None:
        self._shown = ""  # of the segment that is not complete

    def show_words(self, firm: str, tentative: str) -> None:
        """Print the firm words that are new."""
        new = firm.rstrip()[len(self._shown) :]
        if new:
            self._shown += new
            write_result(new.encode())

    def show_segment(self, text: str) -> None:
        """Print the rest of it."""
        write_result(f"{text[len(self._shown) :]}\n".encode())
        self._shown = ""


class TerminalPrinter(LivePrinter):
    """Tentative words are gray, and rewritten in place."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._live = Live(console=self._console, transient=True, auto_refresh=False)

    def __enter__(self) -> LivePrinter:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Erase the tentative words."""
        self._live.stop()

    def show_words(self, firm: str, tentative: str) -> None:
        """Rewrite the last lines."""
        words = Text.assemble(firm, (tentative, "bright_black"))
        self._live.update(words, refresh=True)

    def show_segment(self, text: str) -> None:
        """Print it above the words that may still change."""
        self._live.update(Text(), refresh=True)
        self._console.print(Text(text))
