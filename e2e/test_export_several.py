"""Selecting recordings in the library, and exporting them as one ZIP file."""

from __future__ import annotations

import zipfile

import pytest
from playwright.sync_api import expect

from e2e.conftest import DESKTOP, PHONE, OpenPage
from e2e.test_pages import upload
from transcodio_site.testing import Media


@pytest.mark.parametrize(
    "size", [pytest.param(PHONE, marks=pytest.mark.slow), DESKTOP], ids=["phone", "desktop"]
)
def test_selected_recordings_are_exported_as_zip(
    sign_up: OpenPage, media: Media, size: tuple[int, int]
) -> None:
    page = sign_up(f"several-{size[0]}@example.com", size)
    expect(page.get_by_role("button", name="Select", exact=True)).to_have_count(0)
    upload(page, [media.speech("harbor.mp3", 6), media.silence("silence.mp3", 1)])
    completed = page.locator(".badge[data-state=completed]")
    expect(completed).to_have_count(2)
    boxes = page.locator("#library").get_by_role("checkbox")
    expect(boxes).to_have_count(0)
    page.get_by_role("button", name="Select", exact=True).click()
    open_dialog = page.get_by_role("button", name="Export", exact=True)
    expect(open_dialog).to_be_disabled()
    page.locator(".recording", has_text="harbor").click()  # does not follow the link
    expect(page.get_by_role("checkbox", name="harbor")).to_be_checked()
    page.get_by_role("checkbox", name="silence").focus()
    page.keyboard.press("Space")
    expect(page.locator(".selection-bar")).to_contain_text("Selected: 2")
    open_dialog.click()
    dialog = page.get_by_role("dialog", name="Export recordings")
    dialog.get_by_label("Format").select_option("vtt")
    expect(dialog).to_be_in_viewport(ratio=1)
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename.startswith("transcripts-")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == ["harbor.vtt", "silence.vtt"]
        assert b"harbor" in archive.read("harbor.vtt")
    dialog.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Cancel").click()
    expect(boxes).to_have_count(0)
    page.get_by_role("link", name="harbor").click()
    page.wait_for_url("**/transcriptions/*/")
