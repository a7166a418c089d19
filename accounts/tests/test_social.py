"""Sign-in with an OpenID Connect provider, which runs on loopback."""

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

from accounts.models import Action, AuditEvent, Invitation, Plan, User

# The provider uses deprecated functions of its libraries.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LOGIN = "/accounts/oidc/oidc/login/?process=login"
VERIFIED: dict[str, Any] = {"email": "dora@example.com", "email_verified": True}


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def oidc(provider: str, settings: Any) -> str:
    """The provider, configured as OIDC_CLIENT_ID and the other settings would."""
    app = {
        "client_id": "transcodio",
        "secret": "secret",
        "provider_id": "oidc",
        "name": "Acme",
        "settings": {"server_url": provider},
    }
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
    return provider


def sign_in(
    client: Client, provider: str, sub: str = "dora", login: str = LOGIN, **claims: Any
) -> Any:
    """Follow the redirect to the provider, authenticate there as `sub`, and follow it back."""
    httpx.put(f"{provider}/users/{sub}", json=claims).raise_for_status()
    authorize_url = client.get(login)["Location"]
    assert authorize_url.startswith(provider)
    redirect = httpx.post(authorize_url, data={"sub": sub})
    assert redirect.status_code == 302, redirect.text
    url = urlsplit(redirect.headers["Location"])
    return client.get(f"{url.path}?{url.query}", follow=True)


def is_signed_in(client: Client) -> bool:
    return client.get("/settings/usage/").status_code == 200


def test_unconfigured_providers_are_not_offered(db: None, client: Client) -> None:
    for page in ("login", "signup"):
        assert "Continue with" not in client.get(f"/accounts/{page}/").content.decode()
    for path in ("google/login/", "github/login/", "microsoft/login/", "oidc/oidc/login/"):
        assert client.get(f"/accounts/{path}").status_code == 404


def test_verified_address_creates_an_account_once(db: None, client: Client, oidc: str) -> None:
    assert "Continue with Acme" in client.get("/accounts/login/").content.decode()
    sign_in(client, oidc, **VERIFIED)
    assert is_signed_in(client)
    dora = User.objects.get()
    assert dora.email == "dora@example.com"
    assert not dora.has_usable_password()
    assert EmailAddress.objects.get(user=dora).verified
    other = Client()
    sign_in(other, oidc, **VERIFIED)
    assert is_signed_in(other)
    assert User.objects.count() == 1


def test_address_verified_on_both_sides_signs_in_to_the_account(
    alice: User, client: Client, oidc: str
) -> None:
    EmailAddress.objects.create(user=alice, email=alice.email, verified=True, primary=True)
    sign_in(client, oidc, "alice", email=alice.email, email_verified=True)
    assert is_signed_in(client)
    assert SocialAccount.objects.get().user == alice


@pytest.mark.covers("attack", "Another provider's account claims the address of a user")
@pytest.mark.parametrize(("verified_here", "verified_there"), [(False, True), (True, False)])
def test_address_verified_on_one_side_does_not_sign_in(
    alice: User, client: Client, oidc: str, verified_here: bool, verified_there: bool
) -> None:
    EmailAddress.objects.create(user=alice, email=alice.email, verified=verified_here, primary=True)
    sub = f"mallory-{verified_there}"
    sign_in(client, oidc, sub, email=alice.email, email_verified=verified_there)
    assert not is_signed_in(client)
    alice.refresh_from_db()
    assert alice.has_usable_password()
    assert not SocialAccount.objects.exists()


def test_account_is_connected_and_removed_on_the_connections_page(
    alice: User, client: Client, oidc: str
) -> None:
    client.force_login(alice)
    assert "Acme" in client.get("/accounts/3rdparty/").content.decode()
    sign_in(client, oidc, "another", login=LOGIN.replace("=login", "=connect"), email="a@work.test")
    connected = SocialAccount.objects.get()
    assert connected.user == alice
    page = client.get("/accounts/3rdparty/").content.decode()
    assert "settings-menu" in page
    client.post("/accounts/3rdparty/", {"account": connected.pk})
    assert not SocialAccount.objects.exists()
    events = AuditEvent.objects.filter(user=alice, action=Action.CONNECTED_ACCOUNT).order_by("id")
    assert [e.detail for e in events] == ["Added: oidc another", "Removed: oidc another"]


def test_closed_signup_is_closed_for_providers_too(
    db: None, client: Client, oidc: str, settings: Any
) -> None:
    settings.SIGNUP = "closed"
    response = sign_in(client, oidc, "erik", email="erik@example.com", email_verified=True)
    assert "Sign-up is closed" in response.content.decode()
    assert not User.objects.exists()


def test_invited_user_signs_up_with_a_verified_address(
    carol: User, client: Client, oidc: str, settings: Any
) -> None:
    settings.SIGNUP = "invited"
    plan = Plan.objects.create(name="Team")
    Invitation.objects.create(email="dora@example.com", plan=plan, invited_by=carol)
    stranger = Client()
    sign_in(stranger, oidc, "erik", email="erik@example.com", email_verified=True)
    sign_in(stranger, oidc, "fake", email="dora@example.com", email_verified=False)
    assert not is_signed_in(stranger)
    sign_in(client, oidc, **VERIFIED)
    assert is_signed_in(client)
    assert User.objects.get(email="dora@example.com").plan == plan


@pytest.mark.parametrize(("signup", "succeeds"), [("invited", False), ("open", True)])
def test_expired_invitation_does_not_count(
    client: Client, db: None, oidc: str, settings: Any, signup: str, succeeds: bool
) -> None:
    settings.SIGNUP = signup
    sent = timezone.now() - timedelta(days=400)
    plan = Plan.objects.create(name="Team")
    Invitation.objects.create(email="dora@example.com", plan=plan, created_at=sent, sent_at=sent)
    sign_in(client, oidc, **VERIFIED)
    assert is_signed_in(client) == succeeds
    assert not User.objects.filter(plan=plan).exists()
    assert Invitation.objects.get().accepted_at is None


def test_denied_authorization_shows_the_cancelled_page(db: None, client: Client, oidc: str) -> None:
    authorize_url = client.get(LOGIN)["Location"]
    denied = httpx.post(authorize_url, data={"action": "deny"})
    callback = urlsplit(denied.headers["Location"])
    # This provider omits the state, which RFC 6749 (section 4.1.2.1) requires here too.
    (state,) = parse_qs(urlsplit(authorize_url).query)["state"]
    response = client.get(f"{callback.path}?{callback.query}&state={state}", follow=True)
    assert "Sign-in cancelled" in response.content.decode()


@pytest.mark.covers("attack", "A provider's callback is called in the browser of another user")
def test_callback_with_unknown_state_is_refused(db: None, client: Client, oidc: str) -> None:
    response = client.get("/accounts/oidc/oidc/login/callback/?code=stolen&state=made-up")
    assert "Sign-in failed" in response.content.decode()
    assert not User.objects.exists()


def test_unreachable_provider_shows_the_error_page(
    db: None, client: Client, oidc: str, settings: Any
) -> None:
    app = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]
    unreachable = {**app, "settings": {"server_url": "http://127.0.0.1:9"}}
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [unreachable]}}
    response = client.get(LOGIN, follow=True)
    assert "Sign-in failed" in response.content.decode()
