"""Editing the title and the segments in place, without losing any input."""

from __future__ import annotations

from playwright.sync_api import Dialog, Locator, Page, Route, expect

from e2e.conftest import PASSWORD, OpenPage
from e2e.test_pages import start, stored, wait_for_state
from transcodio_site.testing import Media


def edit(page: Page, media: Media) -> tuple[Locator, Locator]:
    """A transcript in edit mode: its first segment, and the status text."""
    start(page, media.speech("harbor.mp3", 12))
    wait_for_state(page, "completed")
    page.click("transcript-editor button")
    first = page.locator("[data-segment='1']")
    return first, page.locator("transcript-editor [role=status]")


def test_title_and_segments_are_edited_in_place(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("editor@example.com")
    start(page, media.speech("harbor.mp3", 12))
    status = page.locator("transcript-editor [role=status]")
    wait_for_state(page, "completed")
    first, second = (page.locator(f"[data-segment='{n}']") for n in (1, 2))
    original = second.inner_text()
    page.click("transcript-editor button")
    page.fill("h1", "By  the harbor")
    page.press("h1", "Enter")
    expect(first).to_be_focused()
    first.fill("I walk along the harbor.")
    first.press("Enter")
    second.fill("Discarded.")
    second.press("Escape")
    expect(status).to_have_text("Saved")
    expect(page).to_have_title("By the harbor · Transcodio")
    page.click("transcript-editor button")
    expect(page.locator("transcript-editor button")).to_have_text("Edit")  # all edits are saved
    page.reload()
    expect(page.locator("h1")).to_have_text("By the harbor")
    expect(first).to_have_text("I walk along the harbor.")
    expect(second).to_have_text(original)
    assert not first.evaluate("field => field.isContentEditable")
    words = stored(page)["segments"][0]["words"]
    assert [word["text"] for word in words] == ["I", "walk", "along", "the", "harbor."]


def test_failed_save_keeps_text(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("careful@example.com")
    start(page, media.speech("harbor.mp3", 12))
    wait_for_state(page, "completed")
    first = page.locator("[data-segment='1']")
    status = page.locator("transcript-editor [role=status]")
    page.click("transcript-editor button")
    page.route("**/segments/1", lambda route: route.abort("connectionrefused"))
    first.fill("I walk along the harbor.")
    first.blur()
    expect(status).to_contain_text("Not saved: The server cannot be reached.")
    expect(first).to_have_text("I walk along the harbor.")
    page.unroute("**/segments/1")
    first.focus()
    first.blur()
    expect(status).to_have_text("Saved")
    first.fill(" ")
    first.blur()
    expect(status).to_contain_text("The text cannot be empty")
    expect(first).to_have_text("I walk along the harbor.")
    assert stored(page)["segments"][0]["text"] == "I walk along the harbor."


def test_text_typed_during_save_is_saved(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("quick-typist@example.com")
    first, status = edit(page, media)
    held: list[Route] = []
    page.route("**/segments/1", lambda route: held.append(route))
    with page.expect_request("**/segments/1"):
        first.fill("I walk.")
        first.blur()
    first.press("End")
    page.keyboard.type(" And I stay.")
    held[0].continue_()
    page.unroute("**/segments/1")
    expect(status).to_have_text("Saved")
    expect(first).to_have_text("I walk. And I stay.")
    with page.expect_response("**/segments/1"):
        first.blur()
    assert stored(page)["segments"][0]["text"] == "I walk. And I stay."


def test_edit_conflict_shows_other_text_before_overwrite(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("two-tabs@example.com")
    first, status = edit(page, media)
    first.focus()
    other = page.context.new_page()
    other.goto(page.url)
    other.click("transcript-editor button")
    other.locator("[data-segment='1']").fill("Theirs.")
    other.locator("[data-segment='1']").blur()
    expect(other.locator("transcript-editor [role=status]")).to_have_text("Saved")
    first.fill("Mine.")
    first.blur()
    expect(status).to_contain_text("Not saved: Someone else edited this. It now reads: “Theirs.”")
    assert stored(page)["segments"][0]["text"] == "Theirs."
    expect(first).to_have_text("Mine.")
    first.focus()
    first.blur()
    expect(status).to_have_text("Saved")
    assert stored(page)["segments"][0]["text"] == "Mine."


def test_edit_conflict_is_reported_if_other_text_cannot_be_fetched(
    sign_up: OpenPage, media: Media
) -> None:
    page = sign_up("unlucky@example.com")
    first, status = edit(page, media)
    first.fill("Mine.")
    url = page.url.replace("/transcriptions/", "/api/transcriptions/").rstrip("/")
    conflict = {"detail": "The text has changed.", "code": "edit_conflict"}
    page.route(f"{url}/segments/1", lambda route: route.fulfill(status=409, json=conflict))
    page.route(url, lambda route: route.abort("connectionreset"))
    first.blur()
    expect(status).to_contain_text("Not saved: The text has changed.")
    page.unroute(f"{url}/segments/1")
    page.unroute(url)
    page.click("transcript-editor button")
    expect(page.locator("transcript-editor button")).to_have_text("Edit")
    assert stored(page)["segments"][0]["text"] == "Mine."


def test_edit_survives_expired_session(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("expired@example.com")
    first, status = edit(page, media)
    first.fill("I walk along the harbor.")
    page.context.clear_cookies()
    first.blur()
    expect(status).to_contain_text("Not saved: You are signed out.")
    done = page.locator("transcript-editor button")
    with page.expect_response("**/segments/1"):
        done.click()
    expect(done).to_have_text("Done")  # edit mode continues while an edit is unsaved
    other = page.context.new_page()
    other.goto("/accounts/login/")
    other.fill("[name=login]", "expired@example.com")
    other.fill("[name=password]", PASSWORD)
    other.click("main button[type=submit]")
    other.wait_for_selector("upload-box")
    done.click()
    expect(done).to_have_text("Edit")
    assert stored(page)["segments"][0]["text"] == "I walk along the harbor."


def test_leaving_with_unsaved_edit_asks_for_confirmation(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("hasty@example.com")
    first, _ = edit(page, media)
    dialogs: list[str] = []

    def leave(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    first.focus()
    page.reload()
    assert dialogs == []
    page.click("transcript-editor button")
    first.focus()
    page.keyboard.type("Typed, and not left yet. ")
    page.reload()
    assert dialogs == ["beforeunload"]


def test_save_status_stays_in_viewport(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("far-down@example.com", (390, 400))
    edit(page, media)
    last = page.locator(".segment").last
    last.fill("And that is all.")
    last.blur()
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator("transcript-editor [role=status]")).to_have_text("Saved")
    expect(page.locator("transcript-editor [role=status]")).to_be_in_viewport(ratio=1)
    expect(page.locator("transcript-editor button")).to_be_in_viewport(ratio=1)
