"""Coming in by invitation, and what else the service writes to people."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone

from accounts.invitations import DAYS
from accounts.models import Action, AuditEvent, Invitation, Plan, User

PASSWORD = "correct horse battery"
SIGNUP = "/accounts/signup/"


@pytest.fixture
def admin(carol: User, settings: Any) -> Client:
    """The admin site, of a service that takes only who was invited."""
    settings.SIGNUP = "invited"
    client = Client()
    client.force_login(carol)
    return client


def invite(admin: Client, email: str = "Dora@Example.com", plan: Plan | None = None) -> Any:
    form = {"email": email, "plan": plan.pk if plan else ""}
    return admin.post("/admin/accounts/invitation/add/", form, follow=True)


def link_in(letter: EmailMultiAlternatives) -> str:
    (link,) = re.findall(r"http://127.0.0.1:8000(/invited/\S+)", str(letter.body))
    return str(link)


def sign_up(client: Client, email: str) -> Any:
    form = {"email": email, "password1": PASSWORD, "password2": PASSWORD}
    return client.post(SIGNUP, form, follow=True)


def test_who_follows_the_letter_comes_in_with_the_plan(
    admin: Client, carol: User, client: Client, mailoutbox: Any
) -> None:
    plan = Plan.objects.create(name="Team")
    invite(admin, plan=plan)
    (letter,) = mailoutbox
    assert letter.to == ["dora@example.com"]
    assert "carol@example.com invited you" in letter.body
    assert f'href="http://127.0.0.1:8000{link_in(letter)}"' in letter.alternatives[0][0]
    page = client.get(link_in(letter), follow=True)
    assert 'value="dora@example.com"' in page.content.decode()
    answer = sign_up(client, "dora@example.com")
    assert answer.redirect_chain[-1][0] == "/"
    dora = User.objects.get(email="dora@example.com")
    assert dora.plan == plan
    assert EmailAddress.objects.get(user=dora).verified
    assert len(mailoutbox) == 1  # the letter has proven the address
    assert Invitation.objects.get().accepted_at


def test_nobody_else_comes_in(admin: Client, client: Client) -> None:
    answer = sign_up(client, "stranger@example.com")
    assert "Ask an administrator" in answer.content.decode()
    assert SIGNUP not in client.get("/").content.decode()
    assert not User.objects.filter(email="stranger@example.com").exists()


def test_the_link_is_for_one_address(admin: Client, client: Client, mailoutbox: Any) -> None:
    invite(admin)
    client.get(link_in(mailoutbox[0]))
    answer = sign_up(client, "friend@example.com")
    assert "This invitation is for dora@example.com alone." in answer.content.decode()
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    "why", ["used", "taken back", "too old", "followed long ago", "forged", "closed"]
)
def test_a_link_ends(
    admin: Client,
    client: Client,
    mailoutbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    why: str,
) -> None:
    invite(admin)
    link = link_in(mailoutbox[0])
    assert Client().get(link).status_code == 302
    match why:
        case "used":
            other = Client()
            other.get(link)
            sign_up(other, "dora@example.com")
        case "taken back":
            client.get(link)  # it does not help to have come by it before
            admin.post(f"/admin/accounts/invitation/{_id()}/delete/", {"post": "yes"})
        case "too old":
            later = (timezone.now() + timedelta(days=DAYS, seconds=1)).timestamp()
            monkeypatch.setattr("django.core.signing.time.time", lambda: later)
        case "followed long ago":
            client.get(link)
            Invitation.objects.update(sent_at=timezone.now() - timedelta(days=DAYS, seconds=1))
        case "forged":
            link = link[:-2] + "x/"
        case "closed":
            settings.SIGNUP = "closed"
    answer = client.get(link)
    assert answer.status_code == 410
    assert "no longer valid" in answer.content.decode()
    if why != "used":
        sign_up(client, "dora@example.com")
        assert User.objects.count() == 1


def _id() -> int:
    return Invitation.objects.get().pk


def test_it_is_sent_again_with_a_link_that_works(
    admin: Client, client: Client, mailoutbox: Any
) -> None:
    invite(admin)
    form = {"action": "send_again", "_selected_action": [_id()]}
    answer = admin.post("/admin/accounts/invitation/", form, follow=True)
    assert "on its way" in answer.content.decode()
    assert len(mailoutbox) == 2
    assert client.get(link_in(mailoutbox[1])).status_code == 302
    said = AuditEvent.objects.filter(action=Action.ADMIN).values_list("detail", flat=True)
    assert said[0] == "carol@example.com: Invited “dora@example.com” again."


def test_who_is_there_already_is_not_invited(admin: Client, bob: User, mailoutbox: Any) -> None:
    answer = invite(admin, "BOB@example.com")
    assert "There is an account with this address already." in answer.content.decode()
    invite(admin)
    assert "already exists" in invite(admin).content.decode()
    assert len(mailoutbox) == 1


@pytest.fixture
def no_mail_server(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # nobody listens there


def link_shown(content: str) -> str:
    assert "could not be sent" in content
    (link,) = re.findall(r"http://127.0.0.1:8000(/invited/[\w:-]+/)", content)
    return str(link)


def test_a_letter_that_cannot_be_sent_is_said_with_its_link(
    admin: Client, client: Client, no_mail_server: None
) -> None:
    link = link_shown(invite(admin).content.decode())
    assert client.get(link).status_code == 302
    assert Invitation.objects.get().sent_at is None


def test_a_link_that_is_shown_works_however_old_the_invitation_is(
    admin: Client, client: Client, no_mail_server: None
) -> None:
    old = timezone.now() - timedelta(days=DAYS + 1)
    row = Invitation.objects.create(email="dora@example.com", created_at=old, sent_at=old)
    form = {"action": "send_again", "_selected_action": [row.pk]}
    answer = admin.post("/admin/accounts/invitation/", form, follow=True)
    client.get(link_shown(answer.content.decode()))
    sign_up(client, row.email)
    assert User.objects.filter(email=row.email).exists()


def test_an_open_service_takes_the_invited_too(
    admin: Client, client: Client, mailoutbox: Any, settings: Any
) -> None:
    settings.SIGNUP = "open"
    plan = Plan.objects.create(name="Team")
    invite(admin, plan=plan)
    sign_up(client, "dora@example.com")  # without the link: the address is not proven
    assert User.objects.get(email="dora@example.com").plan is None
    other = Client()
    invite(admin, "erik@example.com", plan)
    other.get(link_in(mailoutbox[-1]))
    sign_up(other, "erik@example.com")
    assert User.objects.get(email="erik@example.com").plan == plan


def test_letters_about_the_account_are_in_the_house_s_clothes(
    alice: User, client: Client, mailoutbox: Any
) -> None:
    client.post("/accounts/password/reset/", {"email": alice.email})
    sign_up(Client(), "new@example.com")
    assert len(mailoutbox) == 2
    for letter, address in zip(mailoutbox, ("password/reset/key", "confirm-email"), strict=True):
        ((html, media_type),) = letter.alternatives
        assert media_type == "text/html"
        assert "Hello from" not in letter.body
        (link,) = re.findall(rf"http://\S+/{address}\S+", letter.body)
        assert f'href="{link}"' in html
        assert "#0f6b5c" in html
