"""Invitations, and the layout of emails about accounts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone

from accounts.models import INVITATION_DAYS, Action, AuditEvent, Invitation, Plan, User

PASSWORD = "correct horse battery"
SIGNUP = "/accounts/signup/"


@pytest.fixture
def admin(carol: User, settings: Any) -> Client:
    """The admin site, where sign-up requires an invitation."""
    settings.SIGNUP = "invited"
    client = Client()
    client.force_login(carol)
    return client


def invite(admin: Client, email: str = "Dora@Example.com", plan: Plan | None = None) -> Any:
    form = {"email": email, "plan": plan.pk if plan else ""}
    return admin.post("/admin/accounts/invitation/add/", form, follow=True)


def link_in(message: EmailMultiAlternatives) -> str:
    (link,) = re.findall(r"http://127.0.0.1:8000(/invited/\S+)", str(message.body))
    return str(link)


def sign_up(client: Client, email: str) -> Any:
    form = {"email": email, "password1": PASSWORD, "password2": PASSWORD}
    return client.post(SIGNUP, form, follow=True)


def test_invited_user_signs_up_with_the_plan(
    admin: Client, carol: User, client: Client, mailoutbox: Any
) -> None:
    plan = Plan.objects.create(name="Team")
    invite(admin, plan=plan)
    (message,) = mailoutbox
    assert message.to == ["dora@example.com"]
    assert "carol@example.com invited you" in message.body
    assert f'href="http://127.0.0.1:8000{link_in(message)}"' in message.alternatives[0][0]
    page = client.get(link_in(message), follow=True)
    assert 'value="dora@example.com"' in page.content.decode()
    response = sign_up(client, "dora@example.com")
    assert response.redirect_chain[-1][0] == "/"
    dora = User.objects.get(email="dora@example.com")
    assert dora.plan == plan
    assert EmailAddress.objects.get(user=dora).verified
    assert len(mailoutbox) == 1  # the link has verified the address
    assert Invitation.objects.get().accepted_at


def test_signup_without_invitation_is_refused(admin: Client, client: Client) -> None:
    response = sign_up(client, "stranger@example.com")
    assert "Ask an administrator" in response.content.decode()
    assert SIGNUP not in client.get("/").content.decode()
    assert not User.objects.filter(email="stranger@example.com").exists()


@pytest.mark.covers("attack", "An invitation is used for another address")
def test_invitation_is_only_for_its_address(admin: Client, client: Client, mailoutbox: Any) -> None:
    invite(admin)
    client.get(link_in(mailoutbox[0]))
    response = sign_up(client, "friend@example.com")
    assert "This invitation is only for dora@example.com." in response.content.decode()
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    "reason", ["used", "revoked", "link expired", "invitation expired", "forged", "closed"]
)
def test_invalid_link_is_410(
    admin: Client,
    client: Client,
    mailoutbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    reason: str,
) -> None:
    invite(admin)
    link = link_in(mailoutbox[0])
    assert Client().get(link).status_code == 302
    match reason:
        case "used":
            other = Client()
            other.get(link)
            sign_up(other, "dora@example.com")
        case "revoked":
            client.get(link)  # having opened it before does not help
            admin.post(f"/admin/accounts/invitation/{invitation_id()}/delete/", {"post": "yes"})
        case "link expired":
            later = (timezone.now() + timedelta(days=INVITATION_DAYS, seconds=1)).timestamp()
            monkeypatch.setattr("django.core.signing.time.time", lambda: later)
        case "invitation expired":
            client.get(link)
            Invitation.objects.update(sent_at=timezone.now() - timedelta(INVITATION_DAYS, 1))
        case "forged":
            link = link[:-2] + "x/"
        case "closed":
            settings.SIGNUP = "closed"
    response = client.get(link)
    assert response.status_code == 410
    assert "no longer valid" in response.content.decode()
    if reason != "used":
        sign_up(client, "dora@example.com")
        assert User.objects.count() == 1


def invitation_id() -> int:
    return Invitation.objects.get().pk


def test_send_again_sends_a_working_link(admin: Client, client: Client, mailoutbox: Any) -> None:
    invite(admin)
    form = {"action": "send_again", "_selected_action": [invitation_id()]}
    response = admin.post("/admin/accounts/invitation/", form, follow=True)
    assert "Email sent to dora@example.com." in response.content.decode()
    assert len(mailoutbox) == 2
    assert client.get(link_in(mailoutbox[1])).status_code == 302
    details = AuditEvent.objects.filter(action=Action.ADMIN).values_list("detail", flat=True)
    assert details[0] == f"Resent invitation {invitation_id()}."


def test_existing_user_is_not_invited(admin: Client, bob: User, mailoutbox: Any) -> None:
    response = invite(admin, "BOB@example.com")
    assert "An account with this email address exists." in response.content.decode()
    invite(admin)
    assert "already exists" in invite(admin).content.decode()
    assert len(mailoutbox) == 1


@pytest.fixture
def no_mail_server(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # nothing listens there


def link_shown(content: str) -> str:
    assert "could not be sent" in content
    (link,) = re.findall(r"http://127.0.0.1:8000(/invited/[\w:-]+/)", content)
    return str(link)


@pytest.mark.covers("fault", "The mail server refuses connections while an invitation is sent")
def test_failed_email_shows_the_link(
    admin: Client, client: Client, no_mail_server: None, caplog: pytest.LogCaptureFixture
) -> None:
    page = invite(admin).content.decode()
    link = link_shown(page)
    assert "Errno" not in page
    assert "Connection refused" in caplog.text
    assert client.get(link).status_code == 302
    assert Invitation.objects.get().sent_at is None


def test_shown_link_of_an_old_invitation_works(
    admin: Client, client: Client, no_mail_server: None
) -> None:
    old = timezone.now() - timedelta(days=INVITATION_DAYS + 1)
    row = Invitation.objects.create(email="dora@example.com", created_at=old, sent_at=old)
    form = {"action": "send_again", "_selected_action": [row.pk]}
    response = admin.post("/admin/accounts/invitation/", form, follow=True)
    client.get(link_shown(response.content.decode()))
    sign_up(client, row.email)
    assert User.objects.filter(email=row.email).exists()


def test_invitation_sets_the_plan_when_signup_is_open(
    admin: Client, client: Client, mailoutbox: Any, settings: Any
) -> None:
    settings.SIGNUP = "open"
    plan = Plan.objects.create(name="Team")
    invite(admin, plan=plan)
    sign_up(client, "dora@example.com")  # without the link, the address is not verified
    assert User.objects.get(email="dora@example.com").plan is None
    other = Client()
    invite(admin, "erik@example.com", plan)
    other.get(link_in(mailoutbox[-1]))
    sign_up(other, "erik@example.com")
    assert User.objects.get(email="erik@example.com").plan == plan


def test_emails_about_the_account_have_our_html_layout(
    alice: User, client: Client, mailoutbox: Any
) -> None:
    client.post("/accounts/password/reset/", {"email": alice.email})
    sign_up(Client(), "new@example.com")
    assert len(mailoutbox) == 2
    for message, path in zip(mailoutbox, ("password/reset/key", "confirm-email"), strict=True):
        ((html, media_type),) = message.alternatives
        assert media_type == "text/html"
        assert "Hello from" not in message.body
        (link,) = re.findall(rf"http://\S+/{path}\S+", message.body)
        assert f'href="{link}"' in html
        assert "#0f6b5c" in html
