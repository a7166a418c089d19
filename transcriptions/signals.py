"""Signals that other packages connect to."""

from __future__ import annotations

from django.dispatch import Signal

# Sent with `row` when a recording completes or fails, inside that transaction: a receiver's writes
# are stored if and only if the new state is.
transcription_finished = Signal()

# Sent with `owner` when usage was charged, inside that transaction.
usage_charged = Signal()
