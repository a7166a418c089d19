"""Pages on paper: black on white, the text, and nothing to click."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import OpenPage
from e2e.recognized import Recognized
from e2e.test_editing import caret
from e2e.test_notes import open_talk, wait_for_notes
from transcodio_site.testing import Stack, wait_until

# Elements that are useless on paper.
CONTROLS = (
    "transcript-bar, transcript-player, find-replace, .site-header, .site-footer, .breadcrumb, "
    ".docs-side, .docs-contents, .docs-contents-folded, .docs-next, .copy-button, "
    "button:not(.turn-speaker, .timestamp), input, select, textarea"
)
# Colors of the text, and of backgrounds that are drawn.
COLORS = """() => {
  const brightness = (color) =>
    color.match(/[0-9.]+/g).slice(0, 3).reduce((sum, one) => sum + Number(one), 0) / 3;
  const hasText = (element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const shown = [...document.querySelectorAll("main *")].filter((one) => one.checkVisibility());
  const styles = shown.map((element) => getComputedStyle(element));
  const texts = shown.filter(hasText).map((element) => getComputedStyle(element).color);
  const backgrounds = styles.map((style) => style.backgroundColor);
  const drawn = backgrounds.filter((color) => !color.endsWith(", 0)"));
  return {
    text: Math.max(...texts.map(brightness)),
    background: Math.min(255, ...drawn.map(brightness)),
  };
}"""

HIGHLIGHTED = "[...CSS.highlights.get('annotation-yellow')].map(String)"


def print_preview(page: Page) -> None:
    page.emulate_media(media="print")
    expect(page.locator(CONTROLS).filter(visible=True)).to_have_count(0)
    colors: dict[str, Any] = page.evaluate(COLORS)
    assert colors["text"] < 100
    assert colors["background"] > 250


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_transcript_is_printed(sign_up: OpenPage, recognized: Recognized, scheme: str) -> None:
    page = sign_up(f"paper-{scheme}@example.com", scheme=scheme)
    recognized(page)
    print_preview(page)
    expect(page.locator("h1")).to_have_text("harbor")
    expect(page.locator(".metadata")).to_contain_text("0:12")
    expect(page.locator(".segment").first).to_be_visible()
    expect(page.locator(".timestamp").first).to_have_text("0:00")
    page.set_viewport_size({"width": 700, "height": 1000})  # of a sheet of paper
    time, text = (page.locator(name).first.bounding_box() for name in (".timestamp", ".segment"))
    assert time
    assert text
    assert time["x"] + time["width"] <= text["x"]  # in the margin
    pdf = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1


@pytest.mark.slow
def test_all_highlights_are_printed(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("paper-notes@example.com", (1280, 500))
    open_talk(page, stack, "paper-notes@example.com", "12" * 20)
    for count, number in enumerate((1, 40), 1):
        caret(page, number, 0, 3)
        page.keyboard.press("Alt+h")
        wait_for_notes(page, count)
    wait_until(lambda: page.evaluate(HIGHLIGHTED) == ["The"])  # the one near the viewport
    page.evaluate(f"addEventListener('beforeprint', () => {{ window.printed = {HIGHLIGHTED}; }})")
    page.pdf(format="A4")
    assert page.evaluate("window.printed") == ["The", "The"]
    wait_until(lambda: page.evaluate(HIGHLIGHTED) == ["The"])


def test_document_is_printed_without_menus(open_page: OpenPage) -> None:
    page = open_page(scheme="dark")
    page.goto("/docs/api/")
    print_preview(page)
    expect(page.locator("main h1")).to_be_visible()
    width = page.evaluate(
        "[document.querySelector('.docs-text').clientWidth, document.body.clientWidth]"
    )
    assert width[0] > 0.9 * width[1]
