"""Receivers of signals: tell watchers about changes that are not events of a recording."""

from __future__ import annotations

from functools import partial
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.auth.signals import user_logged_out
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
    post_delete.connect(_owner_changed, sender=UserSession)
    user_logged_out.connect(_signed_out)
    post_delete.connect(_recording_deleted, sender=Transcription)


def _user_changed(instance: User, **_: Any) -> None:
    """The password, or whether the account is active, may have changed."""
    _send(access_channel(instance.pk), AccessChanged())


def _owner_changed(instance: ApiToken | UserSession, **_: Any) -> None:
    _send(access_channel(instance.user_id), AccessChanged())


def _signed_out(user: User | None, **_: Any) -> None:
    if user is not None:
        _send(access_channel(user.pk), AccessChanged())


def _recording_deleted(instance: Transcription, **_: Any) -> None:
    _send(event_channel(instance.id), Stored(id=DELETED))


def _send(channel: str, message: AccessChanged | Stored) -> None:
    transaction.on_commit(partial(publisher.send, channel, message.model_dump_json()))
