"""Signing in with the word of somebody else: a real OpenID Connect provider on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.utils import timezone

from accounts.audit import Action, AuditEvent
from accounts.models import Invitation, Plan, User

# The provider uses what its own library will drop one day.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LOGIN = "/accounts/oidc/oidc/login/?process=login"
PROVEN: dict[str, Any] = {"email": "dora@example.com", "email_verified": True}


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def oidc(provider: str, settings: Any) -> str:
    """The provider, known to us as it would be by OIDC_CLIENT_ID and the rest."""
    app = {
        "client_id": "transcodio",
        "secret": "secret",
        "provider_id": "oidc",
        "name": "Acme",
        "settings": {"server_url": provider},
    }
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
    return provider


def come(
    client: Client, provider: str, sub: str = "dora", login: str = LOGIN, **claims: Any
) -> Any:
    """Goes to the provider, proves there to be `sub`, and comes back."""
    httpx.put(f"{provider}/users/{sub}", json=claims).raise_for_status()
    way = client.get(login)["Location"]
    assert way.startswith(provider)
    back = httpx.post(way, data={"sub": sub})
    assert back.status_code == 302, back.text
    url = urlsplit(back.headers["Location"])
    return client.get(f"{url.path}?{url.query}", follow=True)


def is_signed_in(client: Client) -> bool:
    return client.get("/settings/usage/").status_code == 200


def test_nothing_is_offered_unless_it_is_set_up(db: None, client: Client) -> None:
    for page in ("login", "signup"):
        assert "Continue with" not in client.get(f"/accounts/{page}/").content.decode()
    for path in ("google/login/", "github/login/", "microsoft/login/", "oidc/oidc/login/"):
        assert client.get(f"/accounts/{path}").status_code == 404


def test_who_is_vouched_for_has_an_account(db: None, client: Client, oidc: str) -> None:
    assert "Continue with Acme" in client.get("/accounts/login/").content.decode()
    come(client, oidc, **PROVEN)
    assert is_signed_in(client)
    dora = User.objects.get()
    assert dora.email == "dora@example.com"
    assert not dora.has_usable_password()
    assert EmailAddress.objects.get(user=dora).verified
    other = Client()
    come(other, oidc, **PROVEN)
    assert is_signed_in(other)
    assert User.objects.count() == 1


def test_a_known_address_leads_to_its_account(alice: User, client: Client, oidc: str) -> None:
    EmailAddress.objects.create(user=alice, email=alice.email, verified=True, primary=True)
    come(client, oidc, "alice", email=alice.email, email_verified=True)
    assert is_signed_in(client)
    assert SocialAccount.objects.get().user == alice


@pytest.mark.parametrize(("proven_here", "proven_there"), [(False, True), (True, False)])
def test_an_address_that_is_not_proven_on_both_sides_does_not(
    alice: User, client: Client, oidc: str, proven_here: bool, proven_there: bool
) -> None:
    EmailAddress.objects.create(user=alice, email=alice.email, verified=proven_here, primary=True)
    sub = f"mallory-{proven_there}"
    come(client, oidc, sub, email=alice.email, email_verified=proven_there)
    assert not is_signed_in(client)
    alice.refresh_from_db()
    assert alice.has_usable_password()
    assert not SocialAccount.objects.exists()


def test_it_is_connected_and_taken_away_on_the_account_s_own_page(
    alice: User, client: Client, oidc: str
) -> None:
    client.force_login(alice)
    assert "Acme" in client.get("/accounts/3rdparty/").content.decode()
    come(client, oidc, "another", login=LOGIN.replace("=login", "=connect"), email="a@work.test")
    connected = SocialAccount.objects.get()
    assert connected.user == alice
    page = client.get("/accounts/3rdparty/").content.decode()
    assert "account-menu" in page
    client.post("/accounts/3rdparty/", {"account": connected.pk})
    assert not SocialAccount.objects.exists()
    events = AuditEvent.objects.filter(user=alice, action=Action.CONNECTED).order_by("id")
    assert [e.detail for e in events] == ["Added: oidc another", "Removed: oidc another"]


def test_a_closed_door_stays_closed(db: None, client: Client, oidc: str, settings: Any) -> None:
    settings.SIGNUP = "closed"
    answer = come(client, oidc, "erik", email="erik@example.com", email_verified=True)
    assert "Sign-up is closed" in answer.content.decode()
    assert not User.objects.exists()


def test_who_is_invited_needs_no_letter_when_somebody_vouches(
    carol: User, client: Client, oidc: str, settings: Any
) -> None:
    settings.SIGNUP = "invited"
    plan = Plan.objects.create(name="Team")
    Invitation.objects.create(email="dora@example.com", plan=plan, invited_by=carol)
    stranger = Client()
    come(stranger, oidc, "erik", email="erik@example.com", email_verified=True)
    come(stranger, oidc, "fake", email="dora@example.com", email_verified=False)
    assert not is_signed_in(stranger)
    come(client, oidc, **PROVEN)
    assert is_signed_in(client)
    assert User.objects.get(email="dora@example.com").plan == plan


@pytest.mark.parametrize(("signup", "comes_in"), [("invited", False), ("open", True)])
def test_an_old_invitation_opens_no_door_and_brings_no_plan(
    client: Client, db: None, oidc: str, settings: Any, signup: str, comes_in: bool
) -> None:
    settings.SIGNUP = signup
    sent = timezone.now() - timedelta(days=400)
    plan = Plan.objects.create(name="Team")
    Invitation.objects.create(email="dora@example.com", plan=plan, created_at=sent, sent_at=sent)
    come(client, oidc, **PROVEN)
    assert is_signed_in(client) == comes_in
    assert not User.objects.filter(plan=plan).exists()
    assert Invitation.objects.get().accepted_at is None


def test_who_turns_back_is_told_so(db: None, client: Client, oidc: str) -> None:
    way = client.get(LOGIN)["Location"]
    back = urlsplit(httpx.post(way, data={"action": "deny"}).headers["Location"])
    # This provider forgets the state, which RFC 6749 (4.1.2.1) asks for here too.
    (state,) = parse_qs(urlsplit(way).query)["state"]
    answer = client.get(f"{back.path}?{back.query}&state={state}", follow=True)
    assert "Sign-in cancelled" in answer.content.decode()


def test_an_answer_that_nobody_asked_for_is_refused(db: None, client: Client, oidc: str) -> None:
    answer = client.get("/accounts/oidc/oidc/login/callback/?code=stolen&state=made-up")
    assert "Sign-in failed" in answer.content.decode()
    assert not User.objects.exists()


def test_a_provider_that_does_not_answer_is_said(
    db: None, client: Client, oidc: str, settings: Any
) -> None:
    app = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]
    gone = {**app, "settings": {"server_url": "http://127.0.0.1:9"}}
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [gone]}}
    answer = client.get(LOGIN, follow=True)
    assert "Sign-in failed" in answer.content.decode()
