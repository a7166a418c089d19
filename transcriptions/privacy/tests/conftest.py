"""Fixtures for the tests of the privacy page."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User


@pytest.fixture
def browser(alice: User) -> Client:
    """A client in which Alice is signed in."""
    client = Client()
    client.force_login(alice)
    return client
