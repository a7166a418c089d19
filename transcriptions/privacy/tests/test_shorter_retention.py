"""A shorter retention period is saved only after the user has seen what it deletes."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.formats import date_format

from accounts.models import Plan, User
from transcriptions.models import State, Transcription

pytestmark = pytest.mark.django_db
PAGE = "/settings/data/"
NEVER_UNDONE = "You cannot undo this."


def add_recording(owner: User, age: float, **fields: Any) -> Transcription:
    """A completed recording of a minute that was uploaded `age` days ago."""
    defaults: dict[str, Any] = {
        "source": "recordings/a.mp3",
        "source_bytes": 1,
        "duration": 60.0,
        "state": State.COMPLETED,
        "completed_at": timezone.now(),
    }
    row = Transcription.objects.create(owner=owner, **defaults | fields)
    created_at = timezone.now() - timedelta(days=age)
    Transcription.objects.filter(pk=row.pk).update(created_at=created_at)
    return row


def ask(browser: Client, **periods: str) -> list[str]:
    """The sentences of the question; empty if the periods were saved without one."""
    response = browser.post(PAGE, periods)
    if response.status_code == 302:
        return []
    content = response.content.decode().split('<section id="confirmation"')[1]
    assert "Delete older recordings?" in content
    return re.findall(r"<p>(.*?)</p>", content)


def test_question_says_how_much_is_deleted_and_when(
    alice: User, bob: User, browser: Client
) -> None:
    for age in (40, 8, 6.5, 1):
        add_recording(alice, age)
    add_recording(bob, 40)
    date = date_format(timezone.now() + timedelta(days=0.5), "DATE_FORMAT")
    assert ask(browser, keep_days="7") == [
        "2 recordings with their transcripts (2 min of audio) are older than 7 days and will be "
        "deleted within an hour.",
        f"2 recordings will be deleted when they are 7 days old, the first on {date}.",
        NEVER_UNDONE,
    ]
    assert ask(browser, keep_days="30")[0].startswith("1 recording with its transcript (1 min of")
    alice.refresh_from_db()
    assert alice.keep_days is None


def test_confirmed_period_is_saved_with_the_other_settings(alice: User, browser: Client) -> None:
    add_recording(alice, 8)
    User.objects.update(email_when_ready=False)
    form = {"keep_days": "7", "keep_audio_days": "1", "email_when_ready": "on"}
    question = browser.post(PAGE, form).content.decode()
    assert '<button class="button button-danger-solid" type="submit">Save and delete' in question
    hidden = dict(re.findall(r'type="hidden" name="([a-z_]+)" value="(\w*)"', question))
    hidden.pop("csrfmiddlewaretoken", None)
    assert hidden == form | {"confirmed": "1"}
    page = browser.post(PAGE, hidden, follow=True).content.decode()
    assert "Settings saved." in page
    alice.refresh_from_db()
    assert (alice.keep_days, alice.keep_audio_days, alice.email_when_ready) == (7, 1, True)


def test_audio_and_recordings_are_counted_apart(alice: User, browser: Client) -> None:
    add_recording(alice, 8)
    add_recording(alice, 2)
    add_recording(alice, 2, source="")  # its audio has been deleted already
    add_recording(alice, 0)
    lines = ask(browser, keep_days="7", keep_audio_days="1")
    assert [line.split(" (")[0].split(" will")[0] for line in lines] == [
        "1 recording with its transcript",
        "3 recordings",
        "The audio of 1 recording",
        "The audio of 1 recording",
        NEVER_UNDONE,
    ]
    assert "is older than 1 day and will be deleted within an hour. Its transcript" in lines[2]


def test_later_deletions_are_confirmed_too(alice: User, browser: Client) -> None:
    add_recording(alice, 0)
    date = date_format(timezone.now() + timedelta(days=30), "DATE_FORMAT")
    assert ask(browser, keep_days="30")[0] == (
        f"1 recording will be deleted on {date}, when it is 30 days old."
    )


@pytest.mark.parametrize(
    ("current", "new"),
    [
        ({}, {}),
        ({"keep_days": 7}, {"keep_days": "7"}),
        ({"keep_days": 7}, {"keep_days": "30"}),
        ({"keep_days": 7}, {"keep_days": "7", "keep_audio_days": "30"}),
        ({"keep_days": 1}, {}),
    ],
)
def test_nothing_is_asked_if_no_period_becomes_shorter(
    alice: User, browser: Client, current: dict[str, int], new: dict[str, str]
) -> None:
    User.objects.filter(pk=alice.pk).update(**current)
    add_recording(alice, 40)
    assert ask(browser, **new) == []


def test_nothing_is_asked_without_recordings_that_are_deleted(alice: User, browser: Client) -> None:
    add_recording(alice, 40, state=State.PREPARED, completed_at=None)
    assert ask(browser, keep_days="1", keep_audio_days="1") == []


def test_limit_of_the_plan_counts(alice: User, browser: Client) -> None:
    Plan.objects.create(name="Free", max_keep_days=30, is_default=True)
    add_recording(alice, 10)
    assert ask(browser, keep_days="90") == []
    assert len(ask(browser, keep_days="7")) == 2
