"""axe finds nothing on the page of a transcript: its dialogs, and all its states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from playwright.sync_api import Locator, expect

from e2e.axe import SHORT, Axe
from e2e.conftest import OpenPage
from e2e.test_editing import assert_saved, caret
from e2e.test_pages import open_menu, start, wait_for_state
from e2e.test_speakers import name_of, open_speakers, open_talk
from transcodio_site.testing import SAMPLE, Media, Stack

MENU_DIALOGS = ("Import", "Recognize again", "Detect speakers", "Delete")
# A copy of a transcript that has failed, or was cancelled. Prints its id.
END = """
import uuid
from transcriptions.models import Segment, Transcription
row = Transcription.objects.get(id="{id}")
segments = list(row.segments.all())
row.id, row.token, row.state, row.error_code = uuid.uuid4(), None, "{state}", "{state}"
row.error_message = "The transcription ended: {state}."
row.save(force_insert=True)
for segment in segments:
    segment.pk, segment.transcription = None, row
Segment.objects.bulk_create(segments)
print(row.id)
"""


def test_transcript(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("axe-reader@example.com")
    open_talk(page, stack, "1122", audio=True)
    axe = Axe(page)
    axe.check("transcript")
    name_of(page, 3).click()
    axe.check("speaker")
    page.keyboard.press("Escape")
    for key, name in (("Control+f", "search"), ("Alt+o", "notes"), ("Alt+/", "shortcuts")):
        axe.resize()
        page.keyboard.press(key)
        axe.check(name, SHORT)
        page.keyboard.press("Escape")
    axe.report()


@pytest.mark.slow
def test_dialogs_of_versions_and_conflicts(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("axe-editor@example.com")
    open_talk(page, stack, "1122")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#segments[contenteditable]")).to_be_visible()
    caret(other, 1, 0)
    other.keyboard.type("Theirs. ")
    caret(other, 2, 0)
    assert_saved(other)
    axe = Axe(page)
    caret(page, 1, 0)
    page.keyboard.type("Mine. ")
    dialog = page.get_by_role("dialog", name="Someone else edited this")
    expect(dialog).to_be_visible()
    axe.check("conflict")
    dialog.get_by_role("button", name="Keep mine").click()
    expect(dialog).to_be_hidden()
    axe.resize()
    open_menu(page)
    page.get_by_role("button", name="Versions", exact=True).click()
    dialog = page.get_by_role("dialog", name="Versions")
    dialog.get_by_role("radio").last.check()
    expect(dialog.locator("[data-details] del").first).to_be_visible()
    axe.check("versions")
    axe.report()


@pytest.mark.slow
def test_menus_and_selection_bar(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("axe-menus@example.com")
    open_talk(page, stack, "1122", audio=True)
    axe = Axe(page)
    open_menu(page)
    axe.check("menu")
    page.keyboard.press("Escape")
    axe.resize()
    open_speakers(page)
    axe.check("speakers")
    page.keyboard.press("Escape")
    axe.resize()
    caret(page, 2, 0, 8)
    expect(page.locator("selection-bar")).to_be_visible()
    axe.check("selection")
    axe.report()


@pytest.mark.slow
def test_dialogs_of_the_menu(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("axe-dialogs@example.com")
    open_talk(page, stack, "1122", audio=True)
    axe = Axe(page)
    page.get_by_role("button", name="Export", exact=True).click()
    check_dialog(axe, page.get_by_role("dialog", name="Export"))
    for name in MENU_DIALOGS:
        open_menu(page)
        page.locator("#more-menu").get_by_role("button", name=name, exact=True).first.click()
        check_dialog(axe, page.locator("dialog[open]"))
    axe.report()


def check_dialog(axe: Axe, dialog: Locator) -> None:
    expect(dialog).to_be_visible()
    axe.check(dialog.get_by_role("heading").first.inner_text())
    axe.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    axe.resize()


@pytest.mark.slow
def test_transcripts_that_ended_early(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("axe-ended@example.com")
    open_talk(page, stack, "12")
    axe = Axe(page)
    for state in ("failed", "cancelled"):
        ended = stack.shell(END.format(id=page.url.split("/")[-2], state=state)).strip()
        page.goto(f"/transcriptions/{ended}/")
        expect(page.locator(f"#status[data-state={state}]")).to_be_visible()
        axe.check(state)
    axe.report()


@pytest.mark.slow
def test_transcripts_that_are_processed(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("axe-waiting@example.com")
    axe = Axe(page)
    with stack.hold():
        start(page, SAMPLE)
        expect(page.locator("[data-segment='1']")).to_be_visible()
        axe.check("transcribing")
    axe.resize()
    page.goto("/")
    page.wait_for_selector("upload-box:defined")
    with stopped_workers(stack):
        start(page, SAMPLE)
        expect(page.locator("#waiting")).to_be_visible()
        axe.check("waiting")
    axe.report()


@contextmanager
def stopped_workers(stack: Stack) -> Iterator[None]:
    """No worker runs meanwhile, so that recordings wait."""
    assert stack.process
    children = psutil.Process(stack.process.pid).children(recursive=True)
    workers = [child for child in children if "worker" in child.cmdline()]
    assert workers
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            worker.resume()


@pytest.mark.slow
def test_video(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("axe-video@example.com")
    picture = ("-f", "lavfi", "-i", "testsrc=s=160x90:r=10", "-t", "5", "-c:v", "libvpx")
    start(page, media.speech("film.webm", None, *picture))
    wait_for_state(page, "completed")
    page.reload()
    expect(page.locator("video.player-media")).to_be_visible()
    axe = Axe(page)
    axe.check("video")
    axe.report()
