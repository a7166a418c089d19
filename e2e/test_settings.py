"""The settings in a browser: their menu, and the confirmations before deletions."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import PHONE, OpenContext, OpenPage


@pytest.mark.slow
def test_menu_is_folded_above_the_page_on_a_phone(sign_up: OpenPage) -> None:
    page = sign_up("menu@example.com", PHONE)
    page.goto("/settings/activity/")
    menu = page.get_by_role("navigation", name="Settings")
    expect(menu).to_have_count(0)
    page.get_by_text("Settings: Activity").click()
    expect(menu.get_by_role("link", name="Activity")).to_have_attribute("aria-current", "page")
    menu.get_by_role("link", name="Webhooks").click()
    expect(page.get_by_text("Settings: Webhooks")).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(menu.get_by_role("list", name="API")).to_be_visible()
    expect(page.get_by_text("Settings: Webhooks")).to_be_hidden()


def add_token(page: Page, name: str) -> None:
    page.goto("/settings/tokens/")
    page.fill("[name=name]", name)
    page.get_by_role("button", name="Create token").dblclick()  # creates one
    page.get_by_label(f"Your new token “{name}”").wait_for()


def test_reload_creates_no_second_token(sign_up: OpenPage) -> None:
    page = sign_up("reloads-tokens@example.com")
    add_token(page, "Laptop")
    page.reload()
    expect(page.get_by_role("list", name="Your tokens").get_by_role("listitem")).to_have_count(1)
    expect(page.get_by_label("Your new token")).to_have_count(0)


@pytest.mark.slow
def test_token_is_revoked_after_a_question(sign_up: OpenPage) -> None:
    page = sign_up("revoke@example.com")
    add_token(page, "Laptop")
    page.wait_for_selector("confirm-dialog:defined")  # before, the link opens a page
    revoke = page.get_by_role("link", name="Revoke Laptop")
    revoke.click()
    dialog = page.get_by_role("dialog", name="Revoke “Laptop”?")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(revoke).to_be_focused()
    revoke.click()
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_have_count(0)
    revoke.click()
    dialog.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_have_text("Token “Laptop” revoked.")
    expect(revoke).to_have_count(0)


@pytest.mark.slow
def test_question_is_a_page_without_scripts(open_context: OpenContext, sign_up: OpenPage) -> None:
    with_scripts = sign_up("noscript@example.com")
    add_token(with_scripts, "Laptop")
    page = open_context(
        java_script_enabled=False, storage_state=with_scripts.context.storage_state()
    ).new_page()
    page.goto("/settings/tokens/")
    page.get_by_role("link", name="Revoke Laptop").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Revoke “Laptop”?")
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("link", name="Revoke Laptop").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_have_text("Token “Laptop” revoked.")


def test_signed_out_user_is_asked_to_sign_in(sign_up: OpenPage) -> None:
    page = sign_up("expired@example.com")
    add_token(page, "Laptop")
    page.context.clear_cookies()
    page.get_by_role("link", name="Revoke Laptop").click()
    page.wait_for_url("**/accounts/login/?next=/settings/tokens/**")
