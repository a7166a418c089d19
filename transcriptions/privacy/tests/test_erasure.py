"""After an account or a recording is deleted, nothing that identifies it is left anywhere.

The tests use the product as users do, then search every table, file and key of Valkey.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.utils import timezone
from redis import Redis

from accounts.account_deletion import finish
from accounts.models import Action, AuditEvent, Invitation, User
from accounts.tokens import issue_token
from transcriptions.models import IdempotencyKey, Transcription
from transcriptions.operations.tasks import delete_expired_recordings
from transcriptions.testing import finish_account_deletions
from transcriptions.webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"
ADDRESS, OLD_ADDRESS = "zoe.unique@example.com", "zoe.former@example.com"
CLIENT_IP, USER_AGENT = "203.0.113.77", "UniqueBrowser/7"
TITLE, SENTENCE = "Merger of Unique and Sons", "A unique sentence was spoken"
URL = "https://unique-receiver.example.com/"
IDENTIFYING = (ADDRESS, OLD_ADDRESS, CLIENT_IP, USER_AGENT, TITLE, SENTENCE, URL)
MAX_COUNTER_S = 3600  # rate limits count by IP address in Valkey


def in_tables(texts: Iterable[str]) -> set[str]:
    """`table: text` for each of `texts` that a row of any table contains."""
    found = set()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT to_json(t)::text FROM "{table}" AS t')  # noqa: S608
            rows = "\n".join(row for (row,) in cursor.fetchall())
            found |= {f"{table}: {text}" for text in texts if text in rows}
    return found


def in_files(texts: Iterable[str]) -> set[str]:
    """`path: text` for each of `texts` in the names and the contents of stored files."""
    roots = (Path(django_settings.MEDIA_ROOT), django_settings.FILE_UPLOAD_TEMP_DIR)
    paths = [path for root in roots for path in root.rglob("*") if path.is_file()]
    content = {path: str(path).encode() + path.read_bytes() for path in paths}
    return {f"{path}: {t}" for path, data in content.items() for t in texts if t.encode() in data}


def in_valkey(texts: Iterable[str]) -> set[str]:
    """`key: text` for each of `texts` in keys and values, except in counters that expire soon."""
    valkey, found = Redis.from_url(django_settings.REDIS_URL), set()
    for key in valkey.scan_iter():
        if 0 < valkey.ttl(key) <= MAX_COUNTER_S:
            continue
        content = key + (valkey.dump(key) or b"")
        found |= {f"{key!r}: {text}" for text in texts if text.encode() in content}
    return found


def everywhere(texts: Iterable[str]) -> set[str]:
    texts = tuple(texts)
    return in_tables(texts) | in_files(texts) | in_valkey(texts)


@pytest.fixture
def zoe(db: None) -> User:
    """A user with a former address, a connected account, and an accepted invitation."""
    user = User.objects.create_user(ADDRESS, PASSWORD, first_name="Zoe")
    for address in (ADDRESS, OLD_ADDRESS):
        EmailAddress.objects.create(user=user, email=address, verified=True)
    SocialAccount.objects.create(
        user=user, provider="github", uid="1", extra_data={"email": ADDRESS}
    )
    Invitation.objects.create(email=OLD_ADDRESS, accepted_at=timezone.now())
    return user


@pytest.fixture
def recording(zoe: User, finished: Transcription) -> Transcription:
    """Zoe's recording, completed, with a webhook delivery about it."""
    Transcription.objects.update(owner=zoe, title=TITLE)
    finished.segments.filter(number=1).update(text=SENTENCE)
    endpoint = Endpoint.objects.create(owner=zoe, url=URL)
    data = {"id": str(finished.id), "title": TITLE}
    endpoint.create_delivery("transcription.completed", "msg_1", data)
    IdempotencyKey.objects.create(owner=zoe, key=TITLE, fingerprint="x", transcription=finished)
    return Transcription.objects.get()


@pytest.fixture
def browser(zoe: User, recording: Transcription) -> Client:
    """A browser in which Zoe has used everything that keeps records, as she has in a program."""
    client = Client(REMOTE_ADDR=CLIENT_IP, headers={"User-Agent": USER_AGENT})
    for password in ("wrong", PASSWORD):
        client.post("/accounts/login/", {"login": ADDRESS, "password": password})
    program = Client(
        REMOTE_ADDR=CLIENT_IP, headers={"Authorization": f"Bearer {issue_token(zoe)[1]}"}
    )
    for user in (client, program):
        assert user.get(f"/api/transcriptions/{recording.id}/export?format=srt").status_code == 200
    client.post("/settings/webhooks/", {"url": f"{URL}2", "events": "transcription.failed"})
    assert async_to_sync(read)(client.post("/settings/data/export/"))
    Client().post("/accounts/password/reset/", {"email": ADDRESS})
    Client().post("/accounts/signup/", {"email": ADDRESS, "password1": "x", "password2": "x"})
    return client


async def read(response: Any) -> bytes:
    """The body of a streaming response."""
    return b"".join([chunk async for chunk in response.streaming_content])


def use_admin(carol: User, zoe: User, recording: Transcription) -> None:
    """An administrator acts on Zoe's recording and account."""
    admin = Client()
    admin.force_login(carol)
    rows = "/admin/transcriptions/transcription/"
    form = {"action": "refund", "_selected_action": [recording.id]}
    assert "refunded" in admin.post(rows, form, follow=True).content.decode()
    admin.post(
        f"/admin/account/emailaddress/{EmailAddress.objects.first().pk}/delete/", {"post": "yes"}
    )
    admin.post(f"{rows}{recording.id}/delete/", {"post": "yes"})


@pytest.mark.covers("fault", "An account is deleted, and personal data stays behind")
def test_nothing_identifies_a_deleted_account(
    carol: User, zoe: User, recording: Transcription, browser: Client
) -> None:
    assert {found.split(": ", 1)[1] for found in in_tables(IDENTIFYING)} == set(IDENTIFYING)
    use_admin(carol, zoe, recording)
    response = browser.post("/settings/data/delete-account/", {"proof": PASSWORD})
    assert response.status_code == 302
    finish_account_deletions()
    assert everywhere(IDENTIFYING) == set()
    own = AuditEvent.objects.filter(user=None)
    assert {Action.SIGNED_IN, Action.ACCOUNT_DELETED} <= set(own.values_list("action", flat=True))
    assert len(set(own.values_list("pseudonym", flat=True))) == 1


@pytest.mark.covers("fault", "An administrator's account is deleted, and its name stays behind")
def test_nothing_identifies_a_deleted_administrator(
    zoe: User, alice: User, prepared: Transcription
) -> None:
    User.objects.filter(pk=zoe.pk).update(is_staff=True, is_superuser=True)
    admin = Client(REMOTE_ADDR=CLIENT_IP, headers={"User-Agent": USER_AGENT})
    admin.post("/accounts/login/", {"login": ADDRESS, "password": PASSWORD})
    for action in ("cancel", "refund", "requeue"):
        form = {"action": action, "_selected_action": [prepared.id]}
        admin.post("/admin/transcriptions/transcription/", form)
    assert AuditEvent.objects.filter(user=alice, actor=zoe).exists()
    finish(zoe.pk, notify=False)
    assert everywhere(IDENTIFYING) == set()
    assert AuditEvent.objects.filter(user=alice, actor=None).exclude(actor_pseudonym=None).exists()


@pytest.mark.covers("fault", "A recording is deleted, and its title or text stays behind")
@pytest.mark.parametrize("by", ["owner", "program", "administrator", "retention"])
def test_nothing_names_a_deleted_recording(
    carol: User, zoe: User, recording: Transcription, browser: Client, by: str
) -> None:
    IdempotencyKey.objects.update(key="key")  # chosen by the program, and kept for a day
    if by == "owner":
        browser.post(f"/transcriptions/{recording.id}/delete/")
    elif by == "program":
        browser.delete(f"/api/transcriptions/{recording.id}")
    elif by == "administrator":
        use_admin(carol, zoe, recording)
    else:
        User.objects.update(keep_days=1)
        Transcription.objects.update(created_at=timezone.now() - timedelta(days=2))
        delete_expired_recordings()
    assert not Transcription.objects.exists()
    assert everywhere((TITLE, SENTENCE)) == set()
