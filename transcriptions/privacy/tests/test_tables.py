"""Every table with data of users: where it is exported, and that it is deleted with the account.

A new table with a foreign key to a user, or to a row of a user, fails here until it is listed.
"""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialToken
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from accounts.audit_log import record_event
from accounts.models import AccountDeletion, Action, Invitation, QuotaNotice, User
from accounts.tokens import issue_token
from gpu.diarization.voices import SIZE
from transcriptions.editing.service import correct
from transcriptions.models import (
    AccountQueue,
    DirectUpload,
    IdempotencyKey,
    LiveSession,
    Priority,
    SpeakerReference,
    SubtitleProfile,
    Transcription,
    Voice,
    VoiceUse,
)
from transcriptions.privacy.export import export_user_data
from transcriptions.processing import commands
from transcriptions.testing import finish_account_deletions
from transcriptions.webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

# Table: the file of the archive, and the key in it that must not be empty.
EXPORTED = {
    "accounts.User": ("account.json", "email"),
    "accounts.ApiToken": ("account.json", "api_tokens"),
    "accounts.QuotaNotice": ("account.json", "quota_notices"),
    "accounts.Invitation": ("account.json", "invitations"),
    "accounts.UsageRecord": ("usage.json", None),
    "accounts.AuditEvent": ("activity.json", None),
    "account.EmailAddress": ("account.json", "email_addresses"),
    "mfa.Authenticator": ("account.json", "second_factors"),
    "socialaccount.SocialAccount": ("account.json", "connected_accounts"),
    "usersessions.UserSession": ("account.json", "sessions"),
    "transcriptions.Transcription": ("recording.json", "title"),
    "transcriptions.Segment": ("recording.json", "segments"),
    "transcriptions.Speaker": ("recording.json", "speakers"),
    "transcriptions.Edit": ("edits.json", None),
    "transcriptions.Annotation": ("annotations.json", None),
    "transcriptions.Voice": ("account.json", "voices"),
    "transcriptions.SubtitleProfile": ("account.json", "subtitle_profiles"),
    "webhooks.Endpoint": ("account.json", "webhooks"),
    "webhooks.Delivery": ("webhook_deliveries.json", None),
}
# Table: why it is not exported.
NOT_EXPORTED = {
    "account.EmailConfirmation": "a secret",
    "socialaccount.SocialToken": "a secret",
    "webhooks.ReplacedSecret": "a secret",
    "accounts.UsageDay": "sums of accounts.UsageRecord",
    "accounts.AccountDeletion": "exists only while the account is being deleted",
    "admin.LogEntry": "what administrators did to rows of others",
    "transcriptions.IdempotencyKey": "technical, deleted after 24 hours",
    "transcriptions.AccountQueue": "technical: when the next recording takes its turn",
    "transcriptions.DirectUpload": "exists only until the upload is complete or has expired",
    "transcriptions.SpeakerReference": "exists only until the recording is complete",
    "transcriptions.SearchEntry": "the words of titles and segments",
    "transcriptions.Step": "technical: which worker phase started when",
    "transcriptions.Progress": "technical: the lease of a worker, usage not in the ledger yet",
    "transcriptions.DiarizationJob": "technical: exists while speakers are detected later",
    "transcriptions.SplitProposal": "technical: computed from the audio, which is exported",
    "transcriptions.VoiceLearning": "technical: exists while a voice is learned",
    "transcriptions.LiveSession": "technical: how the audio of a recording has arrived",
    "transcriptions.LivePiece": "exists only until the recording is complete",
    "transcriptions.AudioAnalysis": "technical: computed from the audio, which is exported",
}
# They outlive the account: the ledger with its id, the audit log with a random pseudonym.
APPEND_ONLY = {"accounts.UsageRecord", "accounts.UsageDay", "accounts.AuditEvent"}


def tables_of_users() -> dict[str, type[Model]]:
    """All models from which foreign keys lead to a user."""
    models: dict[str, type[Model]] = {User._meta.label: User}
    while more := [
        m for m in apps.get_models() if m._meta.label not in models and _leads(m, models)
    ]:
        models |= {model._meta.label: model for model in more}
    return models


def _leads(model: type[Model], targets: dict[str, type[Model]]) -> bool:
    keys = [f for f in model._meta.concrete_fields if f.many_to_one or f.one_to_one]
    related = [field.related_model for field in keys]
    return any(target in related for target in targets.values())


@pytest.fixture
def full_account(alice: User, finished: Transcription) -> User:
    """An account with a row in every table; the engine has written those of the recording."""
    address = EmailAddress.objects.create(user=alice, email=alice.email)
    EmailConfirmation.objects.create(email_address=address, key="secret-1")
    Authenticator.objects.create(user=alice, type="totp", data={"secret": "secret-2"})
    connected = SocialAccount.objects.create(user=alice, provider="github", uid="1")
    SocialToken.objects.create(account=connected, token="secret-3")
    UserSession.objects.create(user=alice, ip="192.0.2.1", session_key="secret-4", user_agent="A")
    LogEntry.objects.create(
        user=alice, content_type=ContentType.objects.get_for_model(User), action_flag=1
    )
    AccountDeletion.objects.create(user=alice)
    issue_token(alice)
    record_event(None, Action.SIGNED_IN, user_id=alice.pk)
    Invitation.objects.create(email=alice.email, invited_by=alice)
    QuotaNotice.objects.create(user=alice, month=timezone.now().date().replace(day=1), threshold=80)
    AccountQueue.objects.create(owner=alice, priority=Priority.INTERACTIVE)
    IdempotencyKey.objects.create(owner=alice, key="key", fingerprint="x", transcription=finished)
    DirectUpload.objects.create(
        owner=alice, title="Talk", priority=1, bytes=1, part_bytes=1, expires_at=timezone.now()
    )
    SubtitleProfile.objects.create(owner=alice, name="club", norms={"max_lines": 1})
    voice = Voice.objects.create(owner=alice, name="Anna", vector=bytes(2 * SIZE), recordings=1)
    finished.speakers.create(number=1, name="Anna", voice=voice, voice_use=VoiceUse.LEARNED)
    SpeakerReference.objects.create(transcription=finished, name="Bob", audio=b"RIFF")
    commands.detect_speakers(finished)
    finished.split_proposals.create(number=1, revision=0)
    finished.voice_learnings.create(voice=voice)
    session = LiveSession.objects.create(transcription=finished, media_type="audio/pcm")
    session.pieces.create(end=2, data=b"\0\0")
    correct(finished, 1, "Another text.")
    finished.notes.create(kind="comment", start=1, end=2, body="Really?")
    endpoint = Endpoint.objects.create(owner=alice, url="https://example.com/")
    endpoint.replaced_secrets.create(secret="secret-5", until=timezone.now() + timedelta(hours=1))
    endpoint.create_delivery("webhook.test", "msg_1", {})
    return alice


def test_every_table_of_users_is_listed(full_account: User) -> None:
    tables = tables_of_users()
    assert set(tables) == {*EXPORTED, *NOT_EXPORTED}
    assert [label for label, model in tables.items() if not model._default_manager.exists()] == []


def test_export_contains_every_table_and_no_secret(full_account: User) -> None:
    content = b"".join(export_user_data(full_account))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files: dict[str, Any] = {
            name.split("/")[-1]: json.loads(archive.read(name))
            for name in archive.namelist()
            if name.endswith(".json")
        }
    empty = [
        label
        for label, (name, key) in EXPORTED.items()
        if not (files[name][key] if key else files[name])
    ]
    assert empty == []
    endpoint = Endpoint.objects.get()
    for secret in (b"secret-", endpoint.secret.encode(), full_account.password.encode()):
        assert secret not in content


def test_deletion_leaves_rows_only_in_append_only_tables(full_account: User) -> None:
    browser = Client()
    browser.force_login(full_account)
    proof = {"proof": "correct horse battery"}
    assert browser.post("/settings/data/delete-account/", proof).status_code == 302
    finish_account_deletions()
    tables = tables_of_users()
    assert {
        label for label, model in tables.items() if model._default_manager.exists()
    } == APPEND_ONLY
