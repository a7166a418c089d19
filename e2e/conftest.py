"""A real Chromium with the whole running stack."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from transcodio_site.testing import Stack

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
PASSWORD = "correct horse battery"
DESKTOP, PHONE = (1280, 900), (390, 844)

TIMEOUT_MS = 60_000  # a busy machine needs time to transcribe

OpenPage = Callable[..., Page]
expect.set_options(timeout=TIMEOUT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests in this folder as `e2e`."""
    for item in items:
        if item.path.parent.name == "e2e":
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system browser. Module scope: Playwright's event loop must not outlive its tests."""
    if CHROMIUM is None:
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail("There is no Chromium here: install the package chromium.")
        pytest.skip("There is no Chromium here.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, stack: Stack) -> Iterator[OpenPage]:
    """A function that opens a page in a fresh profile; browser errors fail the test."""
    contexts = []
    problems: list[str] = []

    def open_one(size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Page:
        width, height = size
        context = chromium.new_context(
            base_url=stack.url,
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda message: _collect_console_message(problems, message.type, message.text),
        )
        page.on("request", lambda request: _check_origin(problems, request, stack.url))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert problems == []


def _collect_console_message(problems: list[str], kind: str, text: str) -> None:
    # Tests cause refused uploads, missing pages and a killed server.
    expected = re.search(
        r"status of 4\d\d|WebSocket connection|ERR_CONNECTION|ERR_INCOMPLETE", text
    )
    if kind in ("error", "warning") and not expected:
        problems.append(text)


def _check_origin(problems: list[str], request: Request, url: str) -> None:
    """Report requests to other servers."""
    if not request.url.startswith((url, url.replace("http", "ws"), "data:", "blob:")):
        problems.append(f"request to another server: {request.url}")


@pytest.fixture
def sign_up(open_page: OpenPage) -> OpenPage:
    """A function that opens a page and signs up a new user, who then sees an empty library."""

    def new_user(email: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Page:
        page = open_page(size, scheme)
        page.goto("/accounts/signup/")
        page.fill("[name=email]", email)
        page.fill("[name=password1]", PASSWORD)
        page.fill("[name=password2]", PASSWORD)
        page.click("main button[type=submit]")
        page.wait_for_selector("upload-box:defined")
        return page

    return new_user
