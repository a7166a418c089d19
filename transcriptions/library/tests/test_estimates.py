"""How long recognition will take, as the page of a waiting recording says."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client

from accounts.models import Outcome, UsageRecord, User
from transcriptions.models import State, Transcription
from transcriptions.testing import set_state

pytestmark = pytest.mark.django_db(transaction=True)


def recognized(user: User, seconds: float, in_seconds: float, **fields: object) -> None:
    UsageRecord.objects.create(
        user=user,
        transcription=uuid.uuid4(),
        audio_ms=round(1000 * seconds),
        decode_ms=round(1000 * in_seconds),
        reason="Test.",
        **{"outcome": Outcome.COMPLETED} | fields,
    )


def test_estimate_is_by_the_speed_of_the_last_recordings(
    alice: User, bob: User, browser: Client, prepared: Transcription
) -> None:
    url = f"/transcriptions/{prepared.id}/"
    Transcription.objects.update(duration=3600)
    page = browser.get(url).content.decode()
    assert 'class="skeleton"' in page
    assert "Recognition takes about" not in page
    recognized(bob, 600, 55)
    recognized(alice, 600, 65)
    recognized(alice, 600, 6000, outcome=Outcome.FAILED)
    for path in (url, f"{url}queue/"):
        assert "Recognition takes about 6 min." in browser.get(path).content.decode()
    Transcription.objects.update(duration=42)
    assert "Recognition takes about 10 s." in browser.get(url).content.decode()
    Transcription.objects.update(duration=None)
    assert "Recognition takes about" not in browser.get(url).content.decode()
    set_state(State.COMPLETED, Transcription.objects.filter(id=prepared.id))
    assert 'class="skeleton"' not in browser.get(url).content.decode()
