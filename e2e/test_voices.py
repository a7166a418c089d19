"""Voices that are kept: people who are recognized in later recordings."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import PHONE, OpenPage
from e2e.test_pages import start, wait_for_state
from e2e.test_speakers import name_of, open_talk, speaker_list
from transcodio_site.testing import Media, Stack, wait_until
from transcodio_site.testing_media import CHANGES_S

RECOGNIZED = """
from transcriptions.models import Transcription, Voice
row = Transcription.objects.get(id="{id}")
Voice.objects.all().delete()
voice = Voice.objects.create(owner=row.owner, name="Anna", vector=bytes(512), recordings=1)
row.speakers.filter(number=1).update(name="Anna", voice=voice, voice_use="recognized")
"""

FAILED = """
from transcriptions.models import Voice
Voice.objects.update(vector=None, recordings=0, error="Anna could not be learned. Try again.")
"""


@pytest.mark.slow
def test_kept_voice_is_recognized_until_it_is_deleted(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("voices@example.com")
    talk = str(media.two_voices("talk.wav"))
    page.check("upload-box [name=diarize]")
    page.locator("upload-box [name=speakers]").select_option("2")
    start(page, media.make("first.mp3", "-i", talk, "-t", str(CHANGES_S[1])))
    wait_for_state(page, "completed")
    choice = page.get_by_role("checkbox", name=re.compile("Recognize Anna in future recordings"))
    name_of(page, 1).click()
    expect(page.locator(".voice-choice")).to_be_hidden()  # no speaker has a name
    page.get_by_label("Name in the whole transcript").fill("Anna")
    expect(choice).not_to_be_checked()
    expect(page.get_by_role("dialog")).to_contain_text("biometric data")
    choice.check()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(name_of(page, 1)).to_have_text("Anna")
    name_of(page, 1).click()
    expect(choice).to_be_checked()
    wait_until(lambda: [v["state"] for v in voices(page)] == ["ready"])
    later = media.make("later.mp3", "-ss", str(CHANGES_S[1]), "-i", talk)
    page.goto("/")
    start(page, later)
    wait_for_state(page, "completed")
    expect(name_of(page, 1)).to_have_text("Anna")
    mark = speaker_list(page).get_by_text("Recognized by voice")
    expect(mark).to_have_count(2)
    expect(mark.and_(page.locator("[hidden] *"))).to_have_count(1)
    page.goto("/settings/voices/")
    anna = page.get_by_role("listitem").filter(has_text="Anna")
    expect(anna).to_contain_text("Learned from 1 recording")
    anna.get_by_role("link", name="Rename").click()
    page.get_by_label("Name").fill("Anna Maria")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Delete Anna Maria").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No voices yet.")).to_be_visible()


@pytest.mark.slow
def test_voice_is_deleted_where_it_is_recognized(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("forgets@example.com", PHONE)
    open_talk(page, stack, "12")
    stack.shell(RECOGNIZED.format(id=page.url.split("/")[-2]))
    page.reload()
    expect(speaker_list(page).first).to_contain_text("Recognized by voice")
    name_of(page, 1).click()
    choice = page.get_by_role("checkbox", name="Recognize Anna in future recordings")
    expect(choice).to_be_checked()
    stack.shell(FAILED)
    page.reload()
    name_of(page, 1).click()
    expect(choice).not_to_be_checked()
    expect(choice).to_have_accessible_description(re.compile(r"could not be learned\. Try again\."))
    page.keyboard.press("Escape")
    stack.shell(RECOGNIZED.format(id=page.url.split("/")[-2]))
    page.reload()
    name_of(page, 1).click()
    name = page.get_by_label("Name in the whole transcript")
    name.fill("Berta")
    expect(page.get_by_role("checkbox")).not_to_be_checked()
    name.fill("anna")
    expect(page.get_by_role("checkbox")).to_be_checked()
    page.get_by_role("checkbox").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert voices(page) == []
    name_of(page, 2).click()
    name.fill("Ben")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Save").click()
    alert = page.get_by_role("dialog").get_by_role("alert")
    expect(alert).to_contain_text("The audio has been deleted")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def voices(page: Page) -> Any:
    return page.request.get("/api/voices").json()
