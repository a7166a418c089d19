"""A recording for demonstrations, checks and tests."""

from pathlib import Path

SAMPLE = Path(__file__).resolve().parent / "recording.ogg"
