"""User text in files that spreadsheets open. Imports no Django."""

from __future__ import annotations

import re

FORMULA = re.compile(r"\s*[=+\-@]|[\t\r\n]")  # the start of a cell that spreadsheets run


def safe_cell(text: str) -> str:
    """The text of a cell, quoted if a spreadsheet would run it."""
    return f"'{text}" if FORMULA.match(text) else text
