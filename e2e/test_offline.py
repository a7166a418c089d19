"""Without a connection: the offline page, and transcripts that are kept for reading."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import APIResponse, BrowserContext, Page, Route, expect

from e2e.conftest import register
from e2e.test_editing import caret, expect_status
from e2e.test_pages import open_menu, start, wait_for_state
from transcodio_site.testing import Media, Stack, wait_until

# Everything that is stored, by the name of the store.
READ_STORES = """async () => {
  const request = indexedDB.open("transcodio");
  const database = await new Promise((done) => { request.onsuccess = () => done(request.result); });
  const names = [...database.objectStoreNames];
  const transaction = database.transaction(names);
  const records = await Promise.all(names.map((name) => new Promise((done) => {
    const all = transaction.objectStore(name).getAll();
    all.onsuccess = () => done(all.result);
  })));
  database.close();
  return Object.fromEntries(names.map((name, index) => [name, records[index]]));
}"""
NOTHING: dict[str, list[Any]] = {
    "account": [],
    "transcripts": [],
    "uploads": [],
    "recordings": [],
    "pieces": [],
    "shared": [],
}
ACTIVE = "navigator.serviceWorker.ready.then(() => navigator.serviceWorker.controller !== null)"


def stored(page: Page) -> dict[str, list[Any]]:
    """The data that the browser keeps."""
    found: dict[str, list[Any]] = page.evaluate(READ_STORES)
    return found


def sign_in(page: Page, stack: Stack, email: str) -> None:
    """Signs up a new user, and waits until the service worker is there."""
    register(page, stack, email)
    wait_until(lambda: page.evaluate(ACTIVE))


def sign_out(page: Page) -> None:
    page.click("header button[type=submit]")
    expect(page.locator("h1")).to_have_text("Turn recordings into text, live")


def keep(page: Page, media: Media) -> str:
    """Transcribes a recording and keeps its text. Returns its URL."""
    url = start(page, media.speech("harbor.mp3", 5))
    wait_for_state(page, "completed")
    open_menu(page)
    page.get_by_label("Keep for offline reading").check()
    expect(page.get_by_text("Kept in this browser.")).to_be_visible()
    return url


@pytest.mark.slow
def test_page_that_cannot_be_reached_is_explained(app: BrowserContext, stack: Stack) -> None:
    page = app.new_page()
    sign_in(page, stack, "tunnel@example.com")
    app.set_offline(True)
    page.goto("/settings/usage/")
    expect(page.get_by_text("You are offline. This page cannot be loaded.")).to_be_visible()
    expect(page.get_by_text("No transcripts are kept in this browser.")).to_be_visible()
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.button')).borderRadius") == "8px"
    )
    app.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("h1")).to_have_text("Usage")


def test_kept_transcript_is_read_offline(app: BrowserContext, stack: Stack, media: Media) -> None:
    page = app.new_page()
    sign_in(page, stack, "train@example.com")
    url = keep(page, media)
    page.keyboard.press("Escape")
    caret(page, 1, -1)
    page.keyboard.type(" Added later.")
    expect_status(page, "Saved")
    wait_until(lambda: "Added later." in str(stored(page)["transcripts"]))
    app.set_offline(True)
    page.goto(url)
    expect(page.locator("h1:visible")).to_have_text("harbor")
    expect(page.locator("#segments")).to_contain_text("Good morning.")
    expect(page.locator("#segments")).to_contain_text("Added later.")
    page.get_by_role("link", name="Offline transcripts").click()
    page.get_by_role("link", name="harbor").click()
    expect(page.locator("#segments")).to_contain_text("Added later.")
    page.go_back()
    page.get_by_role("button", name="Remove harbor").click()
    expect(page.get_by_text("No transcripts are kept in this browser.")).to_be_visible()
    page.goto(url)
    expect(page.locator("#segments")).to_be_hidden()


@pytest.mark.slow
@pytest.mark.covers(
    "attack", "Someone looks for a kept transcript on a shared computer after sign-out"
)
def test_sign_out_erases_what_is_kept(app: BrowserContext, stack: Stack, media: Media) -> None:
    page = app.new_page()
    sign_in(page, stack, "leaving@example.com")
    url = keep(page, media)
    page.keyboard.press("Escape")
    sign_out(page)
    assert stored(page) == NOTHING
    app.set_offline(True)
    page.goto(url)
    expect(page.get_by_text("No transcripts are kept in this browser.")).to_be_visible()
    expect(page.locator(".segment, .paragraph")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.covers("attack", "Signing out without a connection leaves kept transcripts behind")
def test_sign_out_without_connection_erases_too(
    app: BrowserContext, stack: Stack, media: Media
) -> None:
    page = app.new_page()
    sign_in(page, stack, "plane@example.com")
    keep(page, media)
    page.keyboard.press("Escape")
    app.set_offline(True)
    page.click("header button[type=submit]")
    expect(page.get_by_text("No transcripts are kept in this browser.")).to_be_visible()
    assert stored(page) == NOTHING


@pytest.mark.covers("attack", "Another user of the same browser looks for kept transcripts")
def test_ended_session_and_other_user_find_nothing(
    app: BrowserContext, stack: Stack, media: Media
) -> None:
    page = app.new_page()
    sign_in(page, stack, "first@example.com")
    keep(page, media)
    stale = app.new_page()
    late = list[tuple[Route, APIResponse]]()
    stale.route("**/offline/state/*", lambda route: late.append((route, route.fetch())))
    stale.goto(page.url)
    expect(stale.locator("offline-copy [role=status]")).to_have_text("Kept in this browser.")
    wait_until(lambda: stale.title() and late)  # which also lets Playwright handle the request
    app.clear_cookies(name="sessionid")  # as if it had ended on the server
    page.goto("/offline/")  # the same response for everyone, but not the same content
    expect(page.get_by_text("No transcripts are kept in this browser.")).to_be_visible()
    [(route, response)] = late  # that the first user is signed in
    with stale.expect_response("**/offline/state/*") as received:
        route.fulfill(response=response)
    received.value.finished()
    assert stored(page)["transcripts"] == []
    sign_in(page, stack, "second@example.com")
    open_menu(stale)  # still shows the page of the first user
    stale.get_by_label("Keep for offline reading").uncheck()
    stale.get_by_label("Keep for offline reading").click()  # not `check`: it is unchecked again
    expect(stale.get_by_text("This transcript could not be kept")).to_be_visible()
    page.goto("/offline/")
    expect(page.get_by_text("No transcripts are kept in this browser.")).to_be_visible()


@pytest.mark.slow
def test_deleted_recording_is_erased_on_the_next_visit(
    app: BrowserContext, stack: Stack, media: Media
) -> None:
    page = app.new_page()
    sign_in(page, stack, "tidy@example.com")
    url = keep(page, media)
    page.evaluate(
        "id => fetch(`/api/transcriptions/${id}`, {method: 'DELETE', headers: {"
        "'X-CSRFToken': document.querySelector('[name=csrfmiddlewaretoken]').value}})",
        url.split("/")[-2],
    )
    page.goto("/")
    wait_until(lambda: stored(page)["transcripts"] == [])
