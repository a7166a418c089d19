"""Durations as text."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """`m:ss` or `h:mm:ss`, rounded down."""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def units(seconds: float) -> str:
    """`1 h 2 min 3 s`, rounded, without units that are zero."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"


def limit(seconds: float) -> str:
    """A limit as text, in hours if it is a whole number of hours, else in minutes."""
    if seconds >= 3600 and seconds % 3600 == 0:
        return "1 hour" if seconds == 3600 else f"{seconds / 3600:g} hours"
    return minutes(seconds / 60)


def minutes(count: float) -> str:
    """`1 minute` or `2.5 minutes`."""
    return "1 minute" if count == 1 else f"{count:g} minutes"
