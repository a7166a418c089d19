"""The documentation in a browser: navigation, search, links and copy buttons."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import DESKTOP, PHONE, OpenPage
from transcodio_site.testing import wait_until

NARROW = (320, 640)
PAGES = ["/docs/", "/docs/api/", "/docs/configuration/", "/docs/search/?q=webhook", "/api/docs"]


def overflow(page: Page) -> int:
    """Horizontal overflow in pixels."""
    width: int = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return width


def test_reader_searches_and_copies_an_example(open_page: OpenPage) -> None:
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/")
    page.get_by_role("link", name="Help").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Documentation")
    page.get_by_role("searchbox", name="Search the documentation").fill("verify signature")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Verify the signature").click()
    page.wait_for_url("**/docs/webhooks/#verify-the-signature")
    expect(page.locator("#verify-the-signature")).to_be_in_viewport()
    example = page.locator("copy-code", has_text="def verified")
    example.get_by_role("button", name="Copy").click()
    code = example.locator("code").text_content()
    wait_until(lambda: page.evaluate("navigator.clipboard.readText()") == code)


def test_keyboard_reaches_text_before_the_menu(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/docs/webhooks/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    expect(page.get_by_role("navigation", name="Documentation")).to_be_visible()
    current = page.get_by_role("navigation", name="Documentation").locator("[aria-current=page]")
    expect(current).to_have_text("Webhooks")


def test_reference_menu_scrolls_to_the_operation(open_page: OpenPage) -> None:
    page = open_page(DESKTOP, "dark")
    page.goto("/api/docs")
    page.get_by_role("navigation", name="On this page").get_by_role(
        "link", name="GET /transcriptions/{id}/export"
    ).click()
    heading = page.get_by_role("heading", name="GET /api/transcriptions/{transcription_id}/export")
    expect(heading).to_be_in_viewport()
    page.locator("section", has=heading).get_by_text("Errors:").click()
    expect(page.locator("section", has=heading).get_by_text("409 Conflict")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, pytest.param(PHONE, marks=pytest.mark.slow), DESKTOP])
def test_pages_have_no_horizontal_overflow(
    open_page: OpenPage, size: tuple[int, int], scheme: str
) -> None:
    page = open_page(size, scheme)
    for url in PAGES:
        page.goto(url)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert overflow(page) == 0, url


def test_reference_breaks_no_value_of_a_parameter(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/api/docs")
    values = page.locator(".docs-reference td:nth-child(2) code")
    expect(values.first).to_be_visible()
    broken = "all => all.filter((code) => code.getClientRects().length > 1)"
    assert values.evaluate_all(f"{broken}.map((code) => code.textContent)") == []


def test_menu_is_collapsed_on_a_phone(open_page: OpenPage) -> None:
    page = open_page(PHONE)
    page.goto("/docs/api/")
    expect(page.get_by_role("navigation", name="Documentation")).to_have_count(0)
    page.get_by_text("On this page").first.click()
    page.get_by_role("navigation", name="On this page").get_by_role("link", name="Errors").click()
    expect(page.locator("#errors")).to_be_in_viewport()
    page.get_by_role("link", name="All pages").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Documentation")
