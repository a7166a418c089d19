"""The user model."""

from __future__ import annotations

from accounts.models import User


def test_email_addresses_ignore_case(db: None) -> None:
    user = User.objects.create_user("Dora@Example.COM", "correct horse battery")
    assert user.email == "dora@example.com"
    assert User.objects.get_by_natural_key("DORA@example.com") == user
