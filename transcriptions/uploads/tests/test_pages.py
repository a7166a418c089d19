"""The settings for new transcriptions: vocabulary and speakers."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from accounts.models import User
from transcriptions.models import Transcription
from transcriptions.testing import MP3, Headers
from transcriptions.uploads.params import MAX_KEYWORDS

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/settings/transcription/"


def test_vocabulary_is_saved_and_shown(browser: Client, alice: User) -> None:
    terms = "Ada Lovelace\r\n  Kierkegaard \r\n\r\nAda Lovelace\r\n東京, <b>"
    assert browser.post(PAGE, {"vocabulary": terms}).status_code == 302
    alice.refresh_from_db()
    assert alice.vocabulary == ["Ada Lovelace", "Kierkegaard", "東京", "<b>"]
    html = browser.get(PAGE).content.decode()
    assert "Ada Lovelace\nKierkegaard\n東京\n&lt;b&gt;</textarea>" in html


def test_vocabulary_has_limits(browser: Client, alice: User) -> None:
    for terms in ("x" * 101, "\n".join(map(str, range(MAX_KEYWORDS + 1)))):
        html = browser.post(PAGE, {"vocabulary": terms}).content.decode()
        assert "Enter at most 200 terms of up to 100 characters." in html
    alice.refresh_from_db()
    assert alice.vocabulary == []


def test_vocabulary_follows_the_keywords_of_the_request(
    alice: User, folders: None, token_of: Headers
) -> None:
    User.objects.update(vocabulary=["Nguyen", "Kierkegaard"])
    client = Client(headers=token_of(alice))
    url = "/api/transcriptions?keywords=Ada+Lovelace,Kierkegaard"
    assert client.generic("POST", url, MP3, content_type="audio/mpeg").status_code == 202
    keywords = Transcription.objects.get().options.keywords
    assert keywords == ("Ada Lovelace", "Kierkegaard", "Nguyen")


def test_detection_of_speakers_is_saved_and_the_default_of_the_upload_form(
    browser: Client, alice: User
) -> None:
    checkbox = '<input name="diarize" type="checkbox" value="true"'
    assert f"{checkbox} data-remember>" in browser.get("/").content.decode()
    assert browser.post(PAGE, {"vocabulary": "", "detect_speakers": "on"}).status_code == 302
    alice.refresh_from_db()
    assert alice.detect_speakers
    assert re.search(r'name="detect_speakers"[^>]* checked', browser.get(PAGE).content.decode())
    assert f"{checkbox} checked>" in browser.get("/").content.decode()
    assert browser.post(PAGE, {"vocabulary": ""}).status_code == 302
    alice.refresh_from_db()
    assert not alice.detect_speakers
