"""Files that are dropped without a connection: kept, sent later, and deleted at sign-out."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from e2e.conftest import PASSWORD, OpenPage
from e2e.test_offline import NOTHING, sign_in, sign_out, stored
from e2e.test_pages import upload
from e2e.test_uploads import NO_RETRY
from transcodio_site.testing import Media, Stack, wait_until

WAITS = "kept in this browser and uploaded when you are online again"


def recordings(page: Page) -> list[str]:
    items = page.request.get("/api/transcriptions").json()["items"]
    return [item["title"] for item in items]


@pytest.mark.covers("fault", "A file is dropped while the browser is offline")
def test_file_dropped_offline_is_sent_when_online(
    app: BrowserContext, stack: Stack, media: Media
) -> None:
    page = app.new_page()
    sign_in(page, stack, "boat@example.com")
    app.set_offline(True)
    upload(page, media.silence("boat.mp3", 1))
    expect(page.get_by_role("alert")).to_contain_text(WAITS)
    app.set_offline(False)
    page.wait_for_url("**/transcriptions/*/")
    assert stored(page)["uploads"] == []
    assert recordings(page) == ["boat"]


@pytest.mark.slow
@pytest.mark.covers("fault", "The browser is closed while files wait for a connection")
def test_kept_file_is_sent_once_after_reload(
    app: BrowserContext, stack: Stack, media: Media
) -> None:
    page = app.new_page()
    sign_in(page, stack, "field@example.com")
    page.route("**/api/transcriptions", lambda route: route.abort("connectionreset"))
    upload(page, [media.silence("one.mp3", 1), media.silence("two.mp3", 2)])
    expect(page.locator("[data-phase=kept]")).to_have_count(2)
    page.close()  # without a prompt, as nothing would be lost
    page = app.new_page()
    page.goto("/")
    expect(page.locator(".recording-title")).to_have_count(2)
    assert sorted(recordings(page)) == ["one", "two"]
    page.reload()
    expect(page.locator("upload-box li")).to_have_count(0)
    assert sorted(recordings(page)) == ["one", "two"]


@pytest.mark.slow
@pytest.mark.covers("fault", "A page is reloaded after the response to its upload was lost")
def test_response_lost_before_reload_creates_one_recording(
    app: BrowserContext, stack: Stack, media: Media
) -> None:
    page = app.new_page()
    sign_in(page, stack, "reload@example.com")

    def lose_response(route: Route) -> None:
        route.fetch()
        route.abort("connectionreset")

    page.route("**/api/transcriptions", lose_response)
    upload(page, media.silence("once.mp3", 1))
    expect(page.locator("[data-phase=kept]")).to_have_count(1)
    page.unroute("**/api/transcriptions")
    page.reload()
    expect(page.get_by_role("link", name="once.mp3")).to_be_visible()
    assert recordings(page) == ["once"]


def test_kept_file_can_be_cancelled(app: BrowserContext, stack: Stack, media: Media) -> None:
    page = app.new_page()
    sign_in(page, stack, "regret@example.com")
    app.set_offline(True)
    upload(page, media.silence("regret.mp3", 1))
    expect(page.get_by_role("alert")).to_contain_text(WAITS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("upload-box li")).to_have_count(0)
    wait_until(lambda: stored(page)["uploads"] == [])


def lose_file(page: Page, media: Media, name: str) -> None:
    """The connection is lost during an upload, which does not try again by itself."""
    page.locator("upload-box").evaluate(NO_RETRY)
    page.route("**/api/transcriptions", lambda route: route.abort("connectionreset"))
    upload(page, media.silence(name, 1))
    expect(page.locator("[data-phase=kept]")).to_have_count(1)
    page.unroute("**/api/transcriptions")


@pytest.mark.covers("fault", "A session ends while a file waits for a connection")
def test_kept_file_outlives_the_session(app: BrowserContext, stack: Stack, media: Media) -> None:
    page = app.new_page()
    sign_in(page, stack, "expired@example.com")
    lose_file(page, media, "waiting.mp3")
    app.clear_cookies(name="sessionid")
    page.goto("/accounts/login/")
    page.fill("[name=login]", "expired@example.com")
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    expect(page.get_by_role("link", name="waiting.mp3")).to_be_visible()
    assert recordings(page) == ["waiting"]


def test_kept_file_is_sent_by_one_tab(app: BrowserContext, stack: Stack, media: Media) -> None:
    page = app.new_page()
    sign_in(page, stack, "tabs@example.com")
    lose_file(page, media, "single.mp3")
    second = app.new_page()
    second.goto("/")
    expect(second.get_by_role("link", name="single.mp3")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("upload-box li")).to_have_count(0)
    assert recordings(page) == ["single"]


def test_unreadable_file_is_not_called_a_lost_connection(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("moved@example.com")
    page.route("**/api/transcriptions", lambda route: route.abort("connectionreset"))
    page.evaluate("File.prototype.slice = () => ({ arrayBuffer: () => Promise.reject() })")
    upload(page, media.silence("moved.mp3", 1))
    expect(page.get_by_role("alert")).to_contain_text("The file cannot be read.")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


@pytest.mark.slow
@pytest.mark.covers("fault", "The browser has no space for a file that waits for a connection")
def test_file_without_space_says_so(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("full@example.com")
    page.evaluate("navigator.storage.estimate = async () => ({ quota: 100, usage: 99 })")
    page.route("**/api/transcriptions", lambda route: route.abort("connectionreset"))
    upload(page, media.silence("large.mp3", 1))
    expect(page.get_by_role("alert")).to_contain_text("too large to be kept in this browser")
    page.unroute("**/api/transcriptions")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url("**/transcriptions/*/")


@pytest.mark.slow
@pytest.mark.covers("attack", "Files that wait for a connection are sent by the next user")
def test_sign_out_erases_kept_files(app: BrowserContext, stack: Stack, media: Media) -> None:
    page = app.new_page()
    sign_in(page, stack, "public@example.com")
    page.route("**/api/transcriptions", lambda route: route.abort("connectionreset"))
    upload(page, media.silence("private.mp3", 1))
    expect(page.locator("[data-phase=kept]")).to_have_count(1)
    page.unroute("**/api/transcriptions")
    sign_out(page)
    assert stored(page) == NOTHING
    sign_in(page, stack, "next@example.com")
    page.reload()
    expect(page.locator("upload-box:defined li")).to_have_count(0)
    assert recordings(page) == []
