"""Holding the lease of a recording."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from transcodio_site.testing import wait_until
from transcriptions.models import State, Transcription
from transcriptions.processing import lifecycle
from transcriptions.processing.leases import hold_lease

pytestmark = pytest.mark.django_db(transaction=True)


def test_lease_thread_logs_the_ids_of_its_task(
    prepared: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = lifecycle.claim(prepared.id, State.TRANSCRIBING)
    assert row
    contexts: list[dict[str, Any]] = []
    monkeypatch.setattr(lifecycle, "ensure_held", lambda row: contexts.append(get_contextvars()))
    with bound_contextvars(job_id="42"), hold_lease(row):
        wait_until(lambda: contexts)
    assert contexts[0]["job_id"] == "42"
