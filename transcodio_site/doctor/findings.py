"""What a check reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One result. A problem has a consequence and a remedy."""

    found: str
    consequence: str = ""  # empty: all is well
    remedy: str = ""  # usually a command
    check: str = ""  # its name

    @property
    def is_problem(self) -> bool:
        """Whether something has to be done."""
        return bool(self.consequence)


Check = Callable[[], Iterator[Finding]]
