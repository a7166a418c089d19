"""The admin site: its menu, its appearance, and what its lists show."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client

from accounts import admin_menu
from accounts.models import Outcome, User
from accounts.usage import ledger
from accounts.usage.tests.helpers import ATTEMPT, record_usage


def menu(client: Client) -> dict[str, list[str]]:
    groups = client.get("/admin/").context["app_list"]
    return {
        str(group["name"]): [str(m["name"]).lower() for m in group["models"]] for group in groups
    }


def test_pages_are_grouped_by_subject(admin_client: Client) -> None:
    assert menu(admin_client) == {
        "People": [
            *("users", "invitations", "groups", "email addresses", "second factors", "sessions"),
            *("connected accounts", "sign-in providers", "sign-in provider tokens"),
        ],
        "Billing": ["usage and cost report", "usage ledger", "plans"],
        "Recordings": ["recordings", "live sessions"],
        "Security": ["audit log", "api tokens"],
    }


def test_every_model_has_a_group() -> None:
    known = {label for _, models in admin_menu.GROUPS for label in models}
    assert {model._meta.label for model in admin.site._registry} == known


def test_plural_names_are_english() -> None:
    """Django appends an s; what is deleted along with an account is listed by these names."""
    irregular = re.compile(r"([^aeiou]y|s)$")
    for options in (model._meta for model in apps.get_models()):
        name, plural = str(options.verbose_name), str(options.verbose_name_plural)
        assert not (irregular.search(name) and plural == f"{name}s"), options.label


def test_page_of_a_model_without_a_group_is_still_in_the_menu(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_menu, "GROUPS", admin_menu.GROUPS[:1])
    assert "recordings" in menu(admin_client)["Other"]


def test_staff_see_only_groups_with_pages_for_them(alice: User, client: Client) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    client.force_login(alice)
    assert menu(client) == {
        "Billing": ["usage and cost report", "usage ledger"],
        "Recordings": ["recordings", "live sessions"],
    }


@pytest.mark.parametrize(
    "path", ["", "accounts/user/", "accounts/user/add/", "accounts/usageday/", "mfa/authenticator/"]
)
def test_pages_have_the_look_of_the_product_and_a_way_back(admin_client: Client, path: str) -> None:
    page = admin_client.get(f"/admin/{path}").content.decode()
    assert "css/admin.css" in page
    assert "img/favicon.svg" in page
    assert '<a href="/">Back to the site</a>' in page
    assert "Django" not in page


def test_list_has_its_name_in_the_menu(admin_client: Client) -> None:
    for path, name in (
        ("mfa/authenticator", "Second factors"),
        ("usersessions/usersession", "Sessions"),
        ("accounts/usagerecord", "Usage ledger"),
    ):
        page = admin_client.get(f"/admin/{path}/").content.decode()
        assert f"<h1>{name}</h1>" in page
        assert f"&rsaquo; {name}</div>" in page


def ledger_rows(client: Client) -> list[list[Any]]:
    changelist = client.get("/admin/accounts/usagerecord/").context["cl"]
    page = changelist.model_admin
    return [[page.audio(r), page.engine_time(r), page.cost(r)] for r in changelist.result_list]


def test_ledger_is_in_units_of_people(admin_client: Client, alice: User, bob: User) -> None:
    long = {"audio_ms": 3_725_900, "decode_ms": 77_456, "nano_usd_per_second": 275_000}
    charge = record_usage(alice, **ATTEMPT | long)
    ledger.correct(charge, "Refunded by an administrator.")
    assert ledger_rows(admin_client) == [
        ["−1:02:05", "0.00 s", "0.000000 USD"],  # noqa: RUF001 - the sign of a number
        ["1:02:05", "77.46 s", "0.021300 USD"],
    ]
    page = admin_client.get("/admin/accounts/usagerecord/").content.decode()
    assert "alice@example.com" in page
    assert "3725900" not in page
    details = admin_client.get(f"/admin/accounts/usagerecord/{charge.pk}/change/").content.decode()
    for text in ("0.9900 USD", "0.021300 USD", "77.46 s", "alice@example.com", "Web app"):
        assert text in details


def test_ledger_and_audit_log_name_deleted_accounts_by_number(
    admin_client: Client, alice: User
) -> None:
    record_usage(alice, outcome=Outcome.FAILED)
    number = alice.pk
    alice.delete()
    page = admin_client.get("/admin/accounts/usagerecord/").content.decode()
    assert f"{number} (deleted)" in page
