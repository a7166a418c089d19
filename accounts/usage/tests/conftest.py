"""Fixtures for tests of the admin pages of usage."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from accounts.models import Outcome, User
from accounts.tokens import issue_token
from accounts.usage.tests.helpers import ATTEMPT, MAY_4, record_usage


@pytest.fixture
def may_usage(alice: User, bob: User) -> None:
    """Two attempts of Alice and two of Bob, on May 4 and 5, 2026."""
    token, _ = issue_token(alice, "Laptop")
    record_usage(alice, **ATTEMPT | {"token": token, "load_ms": 4000})
    next_day = {"created_at": MAY_4 + timedelta(days=1)}
    record_usage(alice, **ATTEMPT | next_day | {"engine": "whisper", "nano_usd_per_second": 0})
    record_usage(bob, **ATTEMPT | {"audio_ms": 120_000})
    failed = {"outcome": Outcome.FAILED, "billed": False, "audio_ms": 0, "decode_ms": 0}
    record_usage(bob, **ATTEMPT | failed | {"engine": ""})


@pytest.fixture
def staff_client(db: None) -> Client:
    """A client of a staff user without other permissions."""
    client = Client()
    client.force_login(User.objects.create_user("clerk@example.com", "x", is_staff=True))
    return client
