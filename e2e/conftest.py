"""A real Chromium with the whole running stack."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import redis
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    Request,
    expect,
    sync_playwright,
)
from psycopg import sql

from e2e.browser import BROWSERS as BROWSERS
from e2e.browser import FLAGS as FLAGS
from e2e.browser import find_browser
from e2e.recognized import Recognized
from transcodio_site import embedded
from transcodio_site.testing import WAIT_S, Media, Stack

PASSWORD = "correct horse battery"
DESKTOP, PHONE = (1280, 900), (390, 844)

WAIT_MS = 1000 * WAIT_S

OpenPage = Callable[..., Page]
OpenContext = Callable[..., BrowserContext]
expect.set_options(timeout=WAIT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests in this folder as `e2e`."""
    for item in items:
        if item.path.parent.name == "e2e":
            item.add_marker(pytest.mark.e2e)


def installed(*names: str) -> str:
    """The path of the first of these programs. Skips the test if there is none."""
    if path := find_browser(*names):
        return path
    if os.environ.get("REQUIRE_CHROMIUM"):
        pytest.fail(f"There is no Chromium here: install the package {names[0]}.")
    pytest.skip("There is no Chromium here.")


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Starts and controls browsers. Package scope: its event loop must not outlive these tests."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """The system's Chromium."""
    program = installed("chromium-headless-shell", *BROWSERS)
    browser = playwright.chromium.launch(executable_path=program, args=FLAGS, timeout=WAIT_MS)
    yield browser
    browser.close()


@pytest.fixture
def open_context(chromium: Browser, stack: Stack) -> Iterator[OpenContext]:
    """A function that opens a fresh profile, the same on every machine; closed after the test."""
    contexts = []

    def open_one(**options: Any) -> BrowserContext:
        # Without a service worker: Playwright cannot intercept the requests that one makes.
        fixed = {"base_url": stack.url, "locale": "en-US", "timezone_id": "UTC"}
        fixed["service_workers"] = "block"
        context = chromium.new_context(**(fixed | options))
        context.set_default_timeout(WAIT_MS)  # otherwise Playwright waits for 30 seconds
        contexts.append(context)
        return context

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def app(open_context: OpenContext) -> BrowserContext:
    """A profile with a service worker."""
    return open_context(service_workers="allow")


@pytest.fixture
def open_page(open_context: OpenContext, stack: Stack) -> Iterator[OpenPage]:
    """A function that opens a page in a fresh profile; browser errors fail the test."""
    pages: list[Page] = []
    problems: list[str] = []

    def open_one(size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Page:
        width, height = size
        viewport = {"width": width, "height": height}
        page = open_context(viewport=viewport, color_scheme=scheme).new_page()
        pages.append(page)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda message: _collect_console_message(problems, message.type, message.text),
        )
        page.on("request", lambda request: _check_origin(problems, request, stack))
        return page

    yield open_one
    for page in pages:
        page.context.close()
    assert problems == []


def _collect_console_message(problems: list[str], kind: str, text: str) -> None:
    # Tests cause refused uploads, missing pages and a killed server.
    expected = re.search(
        r"status of 4\d\d|WebSocket connection|ERR_CONNECTION|ERR_INCOMPLETE"
        r"|htmx:(sendError|afterRequest)|blocked by Playwright",
        text,
    )
    if kind in ("error", "warning") and not expected:
        problems.append(text)


def _check_origin(problems: list[str], request: Request, stack: Stack) -> None:
    """Report requests to other servers."""
    own = (stack.url, stack.url.replace("http", "ws"), *stack.storage_origins)
    if not request.url.startswith((*own, "data:", "blob:")):
        problems.append(f"request to another server: {request.url}")


# Signs up like the page, but faster. Prints the key of the session.
SIGN_UP = """
from django.test import Client
browser = Client(HTTP_HOST="127.0.0.1", HTTP_USER_AGENT={agent!r})
form = dict(email={email!r}, password1={password!r}, password2={password!r})
assert browser.post("/accounts/signup/", form).status_code == 302
print(browser.cookies["sessionid"].value)
"""


def forget_sign_ups(stack: Stack) -> None:
    """All tests have the same address, and a fast machine exceeds its limit of twenty sign-ups per
    minute."""
    with redis.Redis.from_url(embedded.redis_url(stack.var)) as valkey:
        for key in valkey.scan_iter("*:allauth.account:signup:*"):
            valkey.delete(key)


def free_address(stack: Stack, email: str) -> None:
    """Give an account of an earlier test another address: all tests of a worker share a stack."""
    with psycopg.connect(embedded.postgres_url(stack.var), autocommit=True) as connection:
        for table in ("accounts_user", "account_emailaddress"):
            connection.execute(
                sql.SQL(
                    "UPDATE {} SET email = 'earlier-' || id || '-' || email WHERE email = %s"
                ).format(sql.Identifier(table)),
                [email],
            )


def register(page: Page, stack: Stack, email: str) -> None:
    """Sign up a new user, who then sees an empty library."""
    forget_sign_ups(stack)
    free_address(stack, email)
    agent = page.evaluate("navigator.userAgent")
    session = stack.shell(SIGN_UP.format(agent=agent, email=email, password=PASSWORD)).strip()
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": stack.url}])
    page.goto("/")
    page.wait_for_selector("upload-box:defined")


@pytest.fixture
def sign_up(open_page: OpenPage, stack: Stack) -> OpenPage:
    """A function that opens a page and signs up a new user, who then sees an empty library."""

    def new_user(email: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Page:
        page = open_page(size, scheme)
        register(page, stack, email)
        return page

    return new_user


@pytest.fixture(scope="session")
def recognized(stack: Stack, media: Media) -> Recognized:
    """A function that opens a transcript with audio, owned by the signed-in user."""
    return Recognized(stack, media)


@pytest.fixture
def page(sign_up: OpenPage, recognized: Recognized, request: pytest.FixtureRequest) -> Page:
    """The page of a complete transcript of two or more segments."""
    name = request.node.name.replace("_", "-")[:40].strip("-")
    opened = sign_up(f"{name}@example.com")
    recognized(opened)
    expect(opened.locator("#segments[contenteditable]")).to_be_visible()
    expect(opened.locator(".segment").nth(1)).to_be_visible()
    return opened
