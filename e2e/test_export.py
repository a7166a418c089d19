"""The export dialog on the page of a recording."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.conftest import DESKTOP, OpenPage
from e2e.recognized import Recognized
from e2e.test_pages import start, wait_for_state
from transcodio_site.testing import Media, wait_until

# As if a browser allowed no page to write to the clipboard.
NO_CLIPBOARD = """
Object.defineProperty(navigator, "clipboard", { value: undefined });
document.execCommand = () => false;
"""
PUT_PROFILE = """norms => fetch("/api/subtitle-profiles/strict", {
  method: "PUT", body: JSON.stringify(norms), headers: { "Content-Type": "application/json",
    "X-CSRFToken": document.cookie.match(/csrftoken=([^;]+)/)[1] } })"""
SLOW = "audio => { audio.playbackRate = 0.0625; }"


def open_dialog(page: Page) -> Locator:
    page.get_by_role("button", name="Export", exact=True).click()
    return page.get_by_role("dialog", name="Export")


def transcribed(page: Page, recognized: Recognized) -> Page:
    """The page of a finished recording, whose owner has a profile that few subtitles can follow."""
    recognized(page)
    page.evaluate(PUT_PROFILE, {"max_line_chars": 10, "max_lines": 1, "max_chars_per_second": 1})
    page.reload()
    return page


def content_of_download(page: Page, dialog: Locator) -> tuple[str, str]:
    """The name and the content of the file."""
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download").click()
    file = download.value
    return file.suggested_filename, Path(file.path()).read_text("utf-8-sig")


def test_chosen_options_are_previewed_downloaded_and_remembered(
    sign_up: OpenPage, recognized: Recognized
) -> None:
    page = transcribed(sign_up("export@example.com"), recognized)
    dialog = open_dialog(page)
    dialog.get_by_label("Format").select_option("json")
    expect(dialog.get_by_label("Profile")).to_be_hidden()
    expect(dialog.locator(".screen")).to_be_hidden()
    dialog.get_by_label("Format").select_option("srt")
    first = dialog.get_by_role("list", name="First subtitles").get_by_role("button")
    text = first.first.locator(".cue-text")
    expect(text).to_have_text("Good morning.")
    expect(dialog.locator(".screen-text")).to_have_text("Good morning.")
    expect(dialog.locator(".quality")).to_contain_text(re.compile("^(.+) of .* rules of Netflix$"))

    dialog.get_by_label("Profile").select_option("social")
    expect(dialog.locator(".quality")).to_contain_text("the rules of Social media")
    expect(text).to_have_text("Good morning. I am walking")
    dialog.get_by_text("More options").click()
    dialog.get_by_label("Shift times by").fill("60")
    expect(first.first.locator(".cue-time")).to_have_text("1:00")
    name, content = content_of_download(page, dialog)
    assert name == "harbor.srt"
    assert content.startswith("1\n00:01:00,")
    assert content.splitlines()[2] == "Good morning. I am walking"
    expect(dialog.get_by_role("status").last).to_have_text("Downloaded as harbor.srt")

    page.reload()
    dialog = open_dialog(page)
    expect(dialog.get_by_label("Format")).to_have_value("srt")
    expect(dialog.get_by_label("Profile")).to_have_value("social")
    expect(dialog.get_by_label("Shift times by")).to_have_value("")  # of that recording only
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Export", exact=True)).to_be_focused()


@pytest.mark.slow
def test_only_options_that_the_format_uses_are_offered(
    sign_up: OpenPage, recognized: Recognized
) -> None:
    page = transcribed(sign_up("options@example.com"), recognized)
    dialog = open_dialog(page)
    format, karaoke = dialog.get_by_label("Format"), dialog.get_by_label("Time of each word")
    format.select_option("vtt")
    karaoke.check()
    _name, content = content_of_download(page, dialog)
    assert re.search(r"<00:00:0\d\.\d{3}>", content)
    format.select_option("json")
    expect(karaoke).to_be_hidden()
    dialog.get_by_text("More options").click()
    expect(dialog.get_by_label("Video frame rate")).to_be_hidden()
    dialog.get_by_label("To", exact=True).fill("0:00.5")
    _name, content = content_of_download(page, dialog)
    assert '"karaoke"' not in content
    dialog.get_by_label("From").fill("0:03")
    dialog.get_by_role("button", name="Download").click()
    expect(dialog.get_by_role("alert")).to_contain_text("it must be greater than start")


@pytest.mark.slow
def test_subtitle_that_fails_leads_to_its_segment(
    sign_up: OpenPage, recognized: Recognized
) -> None:
    page = transcribed(sign_up("quality@example.com", (1280, 500)), recognized)
    dialog = open_dialog(page)
    dialog.get_by_label("Format").select_option("ass")
    dialog.get_by_label("Profile").select_option("strict")
    expect(dialog.locator(".quality")).to_contain_text("the rules of strict")
    failing = dialog.get_by_role("list", name="Subtitles that break the rules")
    expect(failing.get_by_role("button").first).to_contain_text(
        re.compile(r"[\d.]+ characters per second, limit 1")
    )
    cue = failing.get_by_role("button").last
    text = cue.locator(".cue-text").inner_text()
    cue.click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".paragraph", has=page.locator(".timestamp:focus"))).to_contain_text(text)
    segment = page.locator(".segment[aria-current]")
    expect(segment).to_contain_text(text)
    expect(segment).to_be_in_viewport()
    start = float(segment.get_attribute("data-start") or 0)
    assert start > 0
    assert page.locator(".player-media").evaluate("audio => audio.currentTime") >= start


@pytest.mark.slow
def test_screen_follows_the_player(sign_up: OpenPage, recognized: Recognized) -> None:
    page = transcribed(sign_up("screen@example.com"), recognized)
    dialog = open_dialog(page)
    dialog.get_by_label("Format").select_option("vtt")
    dialog.get_by_label("Profile").select_option("social")
    cues = dialog.get_by_role("list", name="First subtitles").get_by_role("button")
    screen = dialog.locator(".screen-text")
    expect(dialog.locator(".quality")).to_contain_text("Social media")
    page.locator(".player-media").evaluate(SLOW)
    cues.nth(2).click()
    expect(screen).to_have_text(cues.nth(2).locator(".cue-text").inner_text())
    dialog.get_by_role("button", name="Play").click()
    expect(dialog.get_by_role("button", name="Pause")).to_be_visible()
    page.locator(".player-media").evaluate("audio => { audio.playbackRate = 1; }")
    expect(screen).to_have_text(cues.nth(3).locator(".cue-text").inner_text())


@pytest.mark.slow
def test_subtitles_are_drawn_on_the_playing_video(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("video@example.com")
    picture = ("-f", "lavfi", "-i", "testsrc=s=160x90:r=10", "-t", "12", "-c:v", "libvpx")
    start(page, media.speech("harbor.webm", None, *picture))
    wait_for_state(page, "completed")
    page.reload()
    dialog = open_dialog(page)
    dialog.get_by_label("Format").select_option("vtt")
    video = page.locator("preview-video video")
    expect(video).to_be_visible()
    cues = dialog.get_by_role("list", name="First subtitles").get_by_role("button")
    cues.nth(1).click()
    expect(dialog.locator(".screen-text")).to_have_text(
        cues.nth(1).locator(".cue-text").inner_text().replace("\n", "")
    )
    dialog.get_by_role("button", name="Play").click()
    wait_until(lambda: video.evaluate("video => video.currentTime") > 2.5)
    assert video.evaluate("video => video.muted && !video.paused")
    page.keyboard.press("Escape")
    wait_until(lambda: video.evaluate("video => video.paused"))


@pytest.mark.slow
def test_recording_without_a_picture_has_no_video(
    sign_up: OpenPage, recognized: Recognized
) -> None:
    page = transcribed(sign_up("sound@example.com"), recognized)
    dialog = open_dialog(page)
    dialog.get_by_label("Format").select_option("vtt")
    video = page.locator("preview-video video")
    wait_until(lambda: video.evaluate("video => video.readyState") > 0)
    expect(video).to_be_hidden()


@pytest.mark.slow
def test_copy_confirms_or_says_that_the_browser_refuses(
    sign_up: OpenPage, recognized: Recognized
) -> None:
    page = transcribed(sign_up("copy@example.com"), recognized)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dialog = open_dialog(page)
    dialog.get_by_role("button", name="Copy to clipboard").click()
    expect(dialog.get_by_role("status").last).to_have_text("Copied to the clipboard")
    _name, content = content_of_download(page, dialog)
    assert page.evaluate("navigator.clipboard.readText()") == content
    dialog.get_by_label("Format").select_option("pdf")
    expect(dialog.get_by_role("button", name="Copy to clipboard")).to_have_count(0)
    page.add_init_script(NO_CLIPBOARD)
    page.reload()
    dialog = open_dialog(page)
    dialog.get_by_role("button", name="Copy to clipboard").click()
    expect(dialog.get_by_role("alert")).to_contain_text("does not allow copying")
    page.route("**/export?**", lambda route: route.abort("connectionrefused"))
    dialog.get_by_role("button", name="Download").click()
    expect(dialog.get_by_role("alert")).to_have_text("The server cannot be reached.")


@pytest.mark.parametrize(
    "size", [(320, 600), pytest.param(DESKTOP, marks=pytest.mark.slow)], ids=["320px", "desktop"]
)
def test_dialog_fits_and_works_by_keyboard(
    sign_up: OpenPage, recognized: Recognized, size: tuple[int, int]
) -> None:
    page = transcribed(sign_up(f"keys-{size[0]}@example.com", size), recognized)
    page.get_by_role("button", name="Export", exact=True).focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Export")
    dialog.get_by_label("Format").focus()
    page.keyboard.type("Web")
    expect(dialog.get_by_label("Format")).to_have_value("vtt")
    dialog.get_by_text("More options").click()
    expect(dialog.locator(".cue").first).to_be_attached()
    assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
    body = dialog.locator(".export-body")
    assert body.evaluate("body => body.scrollWidth <= body.clientWidth")
    expect(dialog.get_by_role("button", name="Download")).to_be_in_viewport(ratio=1)
    expect(dialog).to_be_in_viewport(ratio=1)
