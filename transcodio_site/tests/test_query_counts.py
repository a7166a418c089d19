"""The number of database queries of every page, which must not grow with its rows."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Action, AuditEvent, Invitation, Outcome, Plan, UsageRecord, User
from accounts.tokens import issue_token
from transcodio_site.tests.resources import Resources
from transcodio_site.tests.test_permissions import (
    ADMIN_MODELS,
    AUTHENTICATED,
    OWNER,
    PAGES,
    POST_PATH_SUFFIXES,
)
from transcriptions.models import Segment, State, SubtitleProfile, Transcription, Voice
from transcriptions.webhooks.models import Endpoint

FEW, MANY = 2, 9
OF_ACCOUNT = ("accounts/email/", "accounts/sessions/", "accounts/2fa/", "accounts/3rdparty/")
USER_PAGES = sorted(
    path
    for path, group in PAGES.items()
    if group in (AUTHENTICATED, OWNER) and not path.endswith(POST_PATH_SUFFIXES)
)
ADMIN_LISTS = sorted(f"admin/{model.lower().replace('.', '/')}/" for model in ADMIN_MODELS)


def add_recordings(owner: User, count: int) -> Iterator[Transcription]:
    """Completed recordings with a segment, a speaker, a charge and an event each."""
    for number in range(count):
        row = Transcription.objects.create(
            owner=owner,
            title=f"Talk {number}",
            source="none",
            source_bytes=1,
            state=State.COMPLETED if number % 2 else State.QUEUED,
            completed_at=timezone.now() if number % 2 else None,
        )
        add_text(row, 1)
        UsageRecord.objects.create(
            user=owner,
            token=issue_token(owner, f"Token {number}")[0],
            transcription=row.id,
            outcome=Outcome.COMPLETED,
            billed=True,
            audio_ms=1000,
        )
        AuditEvent.objects.create(user=owner, action=Action.SIGNED_IN, address="203.0.113.7")
        yield row


def add_text(row: Transcription, count: int) -> None:
    """Segments, each with its own speaker."""
    first = row.segments.count() + 1
    for number in range(first, first + count):
        row.speakers.get_or_create(number=number)
        Segment.objects.create(
            transcription=row, number=number, start=number, end=number + 1, text="A", speaker=number
        )


def add_rows(owner: User, count: int) -> None:
    """Rows for every list of the settings."""
    for row in add_recordings(owner, count):
        name = str(row.id)
        endpoint = Endpoint.objects.create(owner=owner, url=f"https://example.com/{name}")
        endpoint.create_delivery("webhook.test", "msg_1", {})
        Voice.objects.create(owner=owner, name=name)
        SubtitleProfile.objects.create(owner=owner, name=name, norms={})
        EmailAddress.objects.create(user=owner, email=f"{name}@example.com")
        UserSession.objects.create(user=owner, ip="203.0.113.7", session_key=name, user_agent="A")


def add_users(count: int) -> None:
    """Users with a row in every list of the admin site."""
    for _ in range(count):
        name = uuid.uuid4().hex
        plan = Plan.objects.create(name=name)
        user = User.objects.create_user(f"{name}@example.com", plan=plan)
        add_rows(user, 2)
        Invitation.objects.create(email=f"{name}@example.org", invited_by=user)
        Authenticator.objects.create(user=user, type="totp", data={})
        account = SocialAccount.objects.create(user=user, provider="oidc", uid=name)
        app = SocialApp.objects.create(provider="oidc", name=name, client_id=name)
        SocialToken.objects.create(app=app, account=account, token=name)
        Group.objects.create(name=name)


def queries(client: Client, url: str) -> list[str]:
    """The statements of a request, after one that fills the caches."""
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code == 200, url
    return [query["sql"] for query in captured]


def assert_constant(client: Client, url: str, add: Callable[[int], None]) -> None:
    """The page at `url` sends as many queries with few rows as with many."""
    add(FEW)
    before = queries(client, url)
    add(MANY - FEW)
    after = queries(client, url)
    repeated = {
        sql for sql in shapes(after) if shapes(after).count(sql) > shapes(before).count(sql)
    }
    assert len(after) == len(before), "\n".join(repeated)


def shapes(statements: list[str]) -> list[str]:
    return [re.sub(r"'[^']*'|\d+", "?", sql) for sql in statements]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["", *USER_PAGES, *OF_ACCOUNT])
def test_page_of_a_user(path: str, alice: User) -> None:
    resources = Resources(alice)
    client = Client()
    client.force_login(alice)

    def add(count: int) -> None:
        add_rows(alice, count)
        add_text(resources.row, count)
        for number in range(count):
            resources.endpoint.create_delivery("webhook.test", f"msg_{number}", {})

    assert_constant(client, f"/{resources.fill(path)}", add)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["admin/", *ADMIN_LISTS])
def test_list_of_the_admin_site(path: str, carol: User) -> None:
    client = Client()
    client.force_login(carol)
    assert_constant(client, f"/{path}", add_users)


def test_table_has_the_pages_with_lists() -> None:
    """Guards against an empty table after its source was renamed."""
    assert {"settings/tokens/", "settings/voices/", "settings/activity/"} <= {*USER_PAGES}
    assert "admin/accounts/user/" in ADMIN_LISTS
