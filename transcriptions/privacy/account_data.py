"""The data of an account for the export, without its recordings.

`tests/test_tables.py` lists every table and where its rows are exported, or why they are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db.models import Model, Q, QuerySet

from accounts.models import AuditEvent, Invitation, User
from accounts.usage.summary import usage_this_month
from transcriptions.models import SubtitleProfile, Transcription, Voice
from transcriptions.processing.recognized_voices import from_bytes
from transcriptions.webhooks.models import Delivery
from transcriptions.webhooks.permissions import webhooks_of

Row = TypeVar("Row", bound=Model)

BATCH_ROWS = 500
SETTINGS = ("keep_audio_days", "keep_days", "email_when_ready", "vocabulary", "detect_speakers")
TOKEN_FIELDS = (
    "name",
    "hint",
    "scopes",
    "monthly_minutes",
    "created_at",
    "expires_at",
    "last_used_at",
    "last_used_address",
)
EDIT_FIELDS = ("revision", "created_at", "kind", "changes", "speakers")
ANNOTATION_FIELDS = (
    "kind",
    "start",
    "end",
    "quote",
    "body",
    "color",
    "created_at",
    "updated_at",
)
VOICE_FIELDS = ("name", "created_at", "recordings", "model")
DELIVERY_FIELDS = (
    "event",
    "message",
    "payload",
    "created_at",
    "state",
    "attempts",
    "last_attempt_at",
    "status",
    "response",
)


def account(user: User) -> dict[str, Any]:
    """The account, its settings and related objects, without secrets."""
    profiles = SubtitleProfile.objects.filter(owner=user)
    return {
        "email": user.email,
        "name": user.get_full_name(),
        "created_at": user.date_joined,
        "last_login": user.last_login,
        "plan": user.effective_plan.name,
        "settings": {name: getattr(user, name) for name in SETTINGS},
        "usage_this_month": usage_this_month(user).model_dump(mode="json"),
        "quota_notices": list(user.quota_notices.values("month", "threshold")),
        "api_tokens": list(user.api_tokens.values(*TOKEN_FIELDS)),
        "subtitle_profiles": list(profiles.values("name", "norms")),
        "voices": list(map(_voice, user.voices.all())),
        "webhooks": list(webhooks_of(user).values("url", "events", "created_at", "disabled_at")),
        **_sign_in_data(user),
    }


def _voice(voice: Voice) -> dict[str, Any]:
    """The voice, with its vector."""
    described = from_bytes(voice.vector).tolist() if voice.vector else None
    fields = {name: getattr(voice, name) for name in VOICE_FIELDS}
    return fields | {"vector": described}


def _sign_in_data(user: User) -> dict[str, Any]:
    addresses = EmailAddress.objects.filter(user=user)
    connected = SocialAccount.objects.filter(user=user)
    factors = Authenticator.objects.filter(user=user)
    sessions = UserSession.objects.filter(user=user)
    invitations = Invitation.objects.filter(email=user.email)
    return {
        "email_addresses": list(addresses.values("email", "verified", "primary")),
        "connected_accounts": list(
            connected.values("provider", "uid", "extra_data", "date_joined", "last_login")
        ),
        "second_factors": list(factors.values("type", "created_at", "last_used_at")),
        "sessions": list(sessions.values("created_at", "last_seen_at", "ip", "user_agent")),
        "invitations": list(invitations.values("created_at", "accepted_at")),
    }


def usage(user: User) -> Iterator[dict[str, Any]]:
    """All rows of the usage ledger, oldest first."""
    for row in _in_batches(user.usage.all()):
        yield {
            "created_at": row.created_at,
            "recording": row.transcription,
            "outcome": row.outcome,
            "charged_seconds": row.audio_seconds if row.billed else 0,
            "reason": row.reason,
        }


def activity(user: User) -> Iterator[dict[str, Any]]:
    """The audit log, oldest first."""
    for event in _in_batches(AuditEvent.objects.filter(user=user)):
        yield {
            "created_at": event.created_at,
            "action": event.action,
            "detail": event.detail,
            "recording": event.recording,
            "by_administrator": event.actor_id is not None,
            "ip_address": event.address,
        }


def webhook_deliveries(user: User) -> Iterator[dict[str, Any]]:
    """The deliveries to all webhooks that are still logged, oldest first."""
    deliveries = Delivery.objects.filter(endpoint__in=webhooks_of(user))
    for row in _in_batches(deliveries.select_related("endpoint")):
        yield {"url": row.endpoint.url} | {name: getattr(row, name) for name in DELIVERY_FIELDS}


def _in_batches(rows: QuerySet[Row]) -> Iterator[Row]:
    """All rows, oldest first, by one query for each batch: unlike `iterator()`, this needs no open
    cursor between two rows."""
    rows = rows.order_by("created_at", "pk")
    batch = list(rows[:BATCH_ROWS])
    while batch:
        yield from batch
        last: Any = batch[-1]
        later = Q(created_at__gt=last.created_at) | Q(created_at=last.created_at, pk__gt=last.pk)
        batch = list(rows.filter(later)[:BATCH_ROWS])


def edits(row: Transcription) -> Iterator[dict[str, Any]]:
    """The changes of a transcript in order, each with a separate query: a single one can contain
    the whole text."""
    for key in list(row.edits.values_list("pk", flat=True)):
        yield from row.edits.filter(pk=key).values(*EDIT_FIELDS)


def annotations_of(row: Transcription) -> list[dict[str, Any]]:
    """The highlights, comments and bookmarks of a transcript, in order of time."""
    return list(row.notes.values(*ANNOTATION_FIELDS))
