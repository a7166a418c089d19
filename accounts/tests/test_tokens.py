"""API tokens: shown once, stored hashed, and dead when their owner is."""

from __future__ import annotations

import pytest

from accounts.authentication import user_of_token
from accounts.models import ApiToken, User


def test_only_the_hash_is_stored(alice: User) -> None:
    row, secret = ApiToken.issue(alice, "laptop")
    assert secret.startswith("tk_")
    stored = ApiToken.objects.values().get(id=row.id)
    assert secret not in map(str, stored.values())
    assert user_of_token(secret) == alice


def test_a_wrong_token_is_nobody(alice: User) -> None:
    _, secret = ApiToken.issue(alice)
    assert user_of_token(secret[:-1]) is None
    assert user_of_token("") is None


def test_the_token_of_a_deactivated_user_is_nobody(alice: User) -> None:
    _, secret = ApiToken.issue(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert user_of_token(secret) is None


def test_last_use_is_noted_but_not_on_every_call(
    alice: User, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    row, secret = ApiToken.issue(alice)
    user_of_token(secret)
    row.refresh_from_db()
    assert row.last_used_at is not None
    with django_assert_num_queries(1):  # type: ignore[operator]
        user_of_token(secret)


def test_addresses_are_one_whatever_their_case(db: None) -> None:
    user = User.objects.create_user("Dora@Example.COM", "correct horse battery")
    assert user.email == "dora@example.com"
    assert User.objects.get_by_natural_key("DORA@example.com") == user
