"""Receivers of signals: tell watchers about changes that are not events of a recording."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from accounts.models import ApiToken, User
from transcriptions.models import Transcription
from transcriptions.realtime.messages import (
    DELETED,
    AccessChanged,
    Stored,
    access_channel,
    event_channel,
)
from transcriptions.realtime.publisher import publisher


def connect() -> None:
    """Connect all receivers. Called once."""
    post_save.connect(_user_changed, sender=User)
    post_delete.connect(_user_changed, sender=User)
    post_save.connect(_owner_changed, sender=ApiToken)
    post_delete.connect(_owner_changed, sender=ApiToken)
    post_delete.connect(_session_ended, sender=Session)
    post_delete.connect(_recording_deleted, sender=Transcription)


def _user_changed(instance: User, **_: Any) -> None:
    """The password, or whether the account is active, may have changed."""
    _send(access_channel(instance.pk), AccessChanged())


def _owner_changed(instance: ApiToken, **_: Any) -> None:
    _send(access_channel(instance.user_id), AccessChanged())


def _session_ended(instance: Session, **_: Any) -> None:
    """Also by signing out, whose own signal comes while the session is still valid."""
    if user_id := instance.get_decoded().get(SESSION_KEY):
        _send(access_channel(int(user_id)), AccessChanged())


def _recording_deleted(instance: Transcription, **_: Any) -> None:
    _send(event_channel(instance.id), Stored(id=DELETED))


def _send(channel: str, message: AccessChanged | Stored) -> None:
    transaction.on_commit(partial(publisher.send, channel, message.model_dump_json()))
