"""Users and plans in the admin site: who may change which."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Plan, User

USERS = "/admin/accounts/user/"
PERMISSIONS = {"is_active": "on", "is_staff": "on", "is_superuser": "on"}


@pytest.fixture
def staff(db: None) -> User:
    """Staff with all permissions on users, but not a superuser."""
    user = User.objects.create_user("clerk@example.com", "x", is_staff=True)
    permissions = Permission.objects.filter(
        content_type__app_label="accounts", codename__endswith="_user"
    )
    user.user_permissions.set(permissions)
    return user


def form_of(user: User) -> dict[str, str]:
    """The form of a user, with all permissions selected."""
    return {"email": user.email, "password": "x", **PERMISSIONS}


def test_only_superusers_grant_permissions(staff: User, alice: User, carol: User) -> None:
    client, superuser = Client(), Client()
    client.force_login(staff)
    superuser.force_login(carol)
    url = f"{USERS}{alice.pk}/change/"
    for browser, granted in ((client, False), (superuser, True)):
        assert browser.post(url, form_of(alice)).status_code == 302
        alice.refresh_from_db()
        assert (alice.is_staff, alice.is_superuser) == (granted, granted)


def test_staff_cannot_change_accounts_of_staff(staff: User, carol: User) -> None:
    client = Client()
    client.force_login(staff)
    for user in (staff, carol):
        for page in ("change", "password", "delete"):
            form = {"post": "yes", "password1": "a new password", "password2": "a new password"}
            response = client.post(f"{USERS}{user.pk}/{page}/", form_of(user) | form)
            assert response.status_code == 403
    selection = {"action": "delete_selected", "_selected_action": [carol.pk], "post": "yes"}
    assert client.post(USERS, selection).status_code == 403
    carol.refresh_from_db()
    assert carol.check_password("correct horse battery")
    assert not User.objects.get(pk=staff.pk).is_superuser


def test_plan_in_use_and_default_plan_cannot_be_deleted(
    alice: User, carol: User, client: Client
) -> None:
    plans = "/admin/accounts/plan/"
    used = Plan.objects.create(name="Small", monthly_minutes=10)
    default = Plan.objects.create(name="Free", monthly_minutes=5, is_default=True)
    unused = Plan.objects.create(name="Old")
    User.objects.filter(pk=alice.pk).update(plan=used)
    client.force_login(carol)
    page = client.post(f"{plans}{used.pk}/delete/", {"post": "yes"}).content.decode()
    assert "would require deleting the following protected related objects" in page
    assert alice.email in page
    assert client.post(f"{plans}{default.pk}/delete/", {"post": "yes"}).status_code == 403
    selection = {"action": "delete_selected", "post": "yes"}
    all_plans = selection | {"_selected_action": [used.pk, default.pk, unused.pk]}
    client.post(plans, all_plans)
    assert Plan.objects.count() == 3
    client.post(plans, selection | {"_selected_action": [unused.pk]})
    assert set(Plan.objects.all()) == {used, default}
