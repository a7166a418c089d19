"""What assistive technology and forced colors get from the page of a transcript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import OpenPage
from e2e.recognized import Recognized
from e2e.test_pages import start, wait_for_state
from transcodio_site.testing import SAMPLE, Stack

OUTLINES = """elements => elements.map((element) => {
  const { outlineStyle, outlineColor, backgroundColor } = getComputedStyle(element);
  return [outlineStyle, outlineColor, backgroundColor];
})"""
# What the system colors of the page are in forced colors.
SYSTEM = """() => ["Highlight", "Canvas"].map((color) => {
  const probe = document.createElement("i");
  probe.style.cssText = `forced-color-adjust: none; color: ${color}`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
})"""


def test_title_is_the_name_of_the_heading(sign_up: OpenPage, recognized: Recognized) -> None:
    page = sign_up("heading@example.com")
    recognized(page)
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_attribute("contenteditable", re.compile("true|plaintext-only"))
    expect(heading).to_have_accessible_name("harbor")
    expect(heading).to_have_accessible_description("Title, can be edited")
    page.fill("h1", "By the harbor")
    page.press("h1", "Enter")
    expect(page.get_by_role("heading", name="By the harbor", exact=True)).to_be_visible()


def test_playing_sentence_is_marked_in_forced_colors(
    sign_up: OpenPage, recognized: Recognized
) -> None:
    page = sign_up("forced-colors@example.com")
    recognized(page)
    expect(page.locator(".player-wave .canvases canvas").first).to_be_visible()
    page.emulate_media(forced_colors="active")
    segments = page.locator(".segment")
    before = segments.evaluate_all(OUTLINES)
    assert {style for style, *_ in before} == {"none"}
    start_s = float(segments.nth(1).get_attribute("data-start") or 0)
    page.locator("transcript-player").evaluate("(player, time) => player.seek(time)", start_s + 0.1)
    expect(segments.nth(1)).to_have_attribute("aria-current", "true")
    highlight, canvas = page.evaluate(SYSTEM)
    marked = segments.evaluate_all(OUTLINES)
    assert marked.pop(1) == ["solid", highlight, canvas]
    assert {style for style, *_ in marked} == {"none"}
    assert highlight != canvas


@pytest.mark.slow
def test_cancelled_transcript_shows_no_alert(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("cancelled@example.com")
    with stack.hold():
        start(page, SAMPLE)
        expect(page.locator(".segment").first).to_be_visible()
        page.locator("#cancel button").click()
        wait_for_state(page, "cancelled")
        assert_is_neutral(page)
    page.reload()
    assert_is_neutral(page)


def assert_is_neutral(page: Page) -> None:
    message = page.get_by_text("The transcription was cancelled.", exact=True)
    expect(message).to_be_visible()
    expect(page.get_by_role("alert").filter(visible=True)).to_have_count(0)
    color = "element => getComputedStyle(element).color"
    assert message.evaluate(color) == page.locator("body").evaluate(color)
