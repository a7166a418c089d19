"""Importing a text on the page of a recording."""

from __future__ import annotations

import psycopg
import pytest
from playwright.sync_api import FilePayload, Page, expect

from e2e.conftest import OpenPage
from e2e.test_pages import open_menu, start, stored, wait_for_state
from transcodio_site import embedded
from transcodio_site.testing import Media, Stack

# Whether a button is visible while the script of its element is not loaded.
LOADING_BUTTONS = """() => {
  const element = document.createElement("is-loading");
  element.innerHTML = `<button class="button" type="button">Use this</button>`;
  document.querySelector("main").append(element);
  const isSeen = element.firstChild.checkVisibility({ visibilityProperty: true });
  element.remove();
  return isSeen;
}"""


def file_of(content: str, name: str = "harbor.srt") -> FilePayload:
    return {"name": name, "mimeType": "text/plain", "buffer": content.encode()}


@pytest.mark.parametrize("width", [1280, pytest.param(390, marks=pytest.mark.slow)])
def test_import_of_subtitles_and_of_pasted_text(
    sign_up: OpenPage, media: Media, width: int
) -> None:
    page = sign_up(f"import-{width}@example.com")
    page.set_viewport_size({"width": width, "height": 844})
    start(page, media.speech("harbor.mp3", 6))
    wait_for_state(page, "completed")
    before = stored(page)
    open_menu(page)
    page.get_by_role("button", name="Import", exact=True).click()
    dialog = page.get_by_role("dialog", name="Import text or subtitles")
    expect(dialog).to_be_in_viewport(ratio=1)
    submit = dialog.get_by_role("button", name="Import", exact=True)
    field, pasted = dialog.get_by_label("File"), dialog.get_by_label("Or paste the text here")

    submit.click()
    expect(field).to_have_accessible_description(
        "SRT, VTT, ASS, JSON or plain text Choose a file or paste text."
    )
    field.set_input_files(file_of("1\n00:00:05,000 --> 00:00:01,000\nHello\n"))
    submit.click()
    expect(dialog.locator("#import-file-problem")).to_have_text(
        "Line 2: the end is before the start."
    )
    expect(field).to_have_attribute("aria-invalid", "true")

    field.set_input_files([])
    anyway = dialog.get_by_role("button", name="Import anyway")
    pasted.fill("It was a bright cold day in April.")
    submit.click()
    expect(dialog.locator("#import-text-problem")).to_contain_text("Only 0% of the words")
    expect(anyway).to_be_visible()
    pasted.fill(before["text"].replace("harbor", "harbour"))
    expect(anyway).to_be_hidden()
    submit.click()
    expect(dialog.get_by_role("status")).to_contain_text("1 replaced, 0 added, 0 removed")
    show_transcript(page)
    expect(page.locator("#segments")).to_contain_text("along the harbour")
    after = stored(page)["segments"][0]["words"]
    times = [word["start"] for word in before["segments"][0]["words"]]
    assert [word["start"] for word in after] == times


def show_transcript(page: Page) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name="Show the transcript").click()


@pytest.mark.slow
def test_recognize_again_shows_conflicts_with_edits(
    sign_up: OpenPage, media: Media, stack: Stack
) -> None:
    page = sign_up("again@example.com")
    start(page, media.speech("harbor.mp3", 6))
    wait_for_state(page, "completed")
    first = page.locator(".segment[data-segment='1']")
    expect(page.locator("#segments[contenteditable]")).to_be_visible()
    first.select_text()
    page.keyboard.type("Good evening.")
    expect(page.locator("transcript-editor [role=status]")).to_have_text("Saved")
    # As if another word had been recognized the first time.
    changed = """UPDATE transcriptions_segment SET recognized =
        jsonb_set(recognized, '{1,text}', '"mourning."') WHERE recognized IS NOT NULL"""
    with psycopg.connect(embedded.postgres_url(stack.var)) as connection:
        connection.execute(changed)
    open_menu(page)
    page.get_by_role("button", name="Recognize again").click()
    dialog = page.get_by_role("dialog", name="Recognize again")
    dialog.get_by_role("button", name="Recognize again").click()
    wait_for_state(page, "completed")
    conflict = page.locator("segment-conflict")
    expect(conflict).to_contain_text("Good morning.")
    expect(first).to_have_text("Good evening.")
    expect(page.get_by_role("link", name="harbor", exact=True)).to_be_visible()
    assert not page.evaluate(LOADING_BUTTONS)
    conflict.get_by_role("button", name="Use this").click()
    expect(conflict).to_have_count(0)
    expect(first).to_have_text("Good morning.")
    assert stored(page)["segments"][0]["conflict"] is None
