"""The user model."""

from __future__ import annotations

import pytest
from django.db import IntegrityError

from accounts.models import User


def test_email_addresses_ignore_case(db: None) -> None:
    user = User.objects.create_user("Dora@Example.COM", "correct horse battery")
    assert user.email == "dora@example.com"
    assert User.objects.get_by_natural_key("DORA@example.com") == user


def test_database_refuses_email_addresses_in_upper_case(db: None) -> None:
    with pytest.raises(IntegrityError, match="lower_case_email"):
        User.objects.create(email="Dora@example.com")
