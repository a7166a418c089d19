"""The headers of responses in a real Chromium: what it blocks, and what it caches."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from e2e.conftest import BROWSERS, FLAGS, PASSWORD, WAIT_MS, OpenPage, installed
from e2e.test_pages import start, wait_for_state
from transcodio_site.testing import Media, Stack

MAKE_SUPERUSER = """
from allauth.account.models import EmailAddress
from accounts.models import User
User.objects.filter(email="admin@example.com").update(is_staff=True, is_superuser=True)
EmailAddress.objects.filter(email="admin@example.com").update(verified=True)
"""
PUBLIC_PAGES = (
    "/",
    "/accounts/login/",
    "/accounts/signup/",
    "/docs/",
    "/docs/architecture/",  # with an image
    "/api/docs",
    "/offline/",
)
SIGNED_IN_PAGES = (
    "/",
    "/record/",
    "/accounts/email/",
    "/accounts/2fa/totp/activate/",  # with a QR code
    "/accounts/2fa/webauthn/add/",
    "/accounts/sessions/",
    "/settings/usage/",
    "/settings/tokens/",
    "/settings/transcription/",
    "/settings/data/",
    "/settings/webhooks/",
)
ADMIN_PAGES = (
    "/admin/",
    "/admin/accounts/user/",
    "/admin/accounts/user/add/",
    "/admin/accounts/plan/add/",
    "/admin/accounts/usageday/",  # with charts
    "/admin/transcriptions/transcription/",
)
# What the policy blocks, including violations that are missing in the console, which `open_page`
# checks.
RECORD_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
"""


def visit(page: Page, url: str) -> None:
    """Open a page. Fails if its policy blocks anything."""
    response = page.goto(url)
    assert response
    assert (response.status, page.url.endswith(url)) == (200, True), url
    assert page.evaluate("violations") == [], url


@pytest.mark.covers("attack", "Text that a page shows brings its own script or style")
@pytest.mark.slow
def test_policy_blocks_nothing_that_the_pages_need(
    open_page: OpenPage, sign_up: OpenPage, media: Media, stack: Stack
) -> None:
    visitor = open_page()
    visitor.add_init_script(RECORD_VIOLATIONS)
    for url in PUBLIC_PAGES:
        visit(visitor, url)
    page = sign_up("admin@example.com")
    page.add_init_script(RECORD_VIOLATIONS)
    start(page, media.speech("policy.mp3", 5))
    wait_for_state(page, "completed")
    visit(page, page.url)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    canvases = page.locator(".player-wave .canvases")  # in wavesurfer's shadow tree
    expect(canvases).to_have_css("pointer-events", "none")
    stack.shell(MAKE_SUPERUSER)
    timeline = f"/admin/transcriptions/transcription/{page.url.split('/')[-2]}/change/"
    visit(page, "/accounts/reauthenticate/")  # required by pages of two-factor authentication
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_selector("upload-box:defined")
    for url in (*SIGNED_IN_PAGES, *ADMIN_PAGES, timeline):
        visit(page, url)


@pytest.mark.covers("attack", "Someone presses Back on a shared computer after its user signed out")
def test_back_after_sign_out_shows_no_transcript(
    chromium: Browser, stack: Stack, media: Media
) -> None:
    # Playwright turns off the cache of whole pages, from which Back restores them. The headless
    # shell has none.
    browser = chromium.browser_type.launch(
        executable_path=installed(*BROWSERS),
        args=FLAGS,
        ignore_default_args=["--disable-back-forward-cache"],
        timeout=WAIT_MS,
    )
    page = browser.new_page(base_url=stack.url)
    page.set_default_timeout(WAIT_MS)
    page.goto("/accounts/signup/")
    for name, value in (("email", "shared@example.com"), ("password1", PASSWORD)):
        page.fill(f"[name={name}]", value)
    page.fill("[name=password2]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_selector("upload-box:defined")
    url = start(page, media.speech("confidential.mp3", 5))
    wait_for_state(page, "completed")
    page.goto("/settings/usage/")
    page.goto(url)
    page.click("header button[type=submit]")
    expect(page.locator("h1")).to_have_text("Turn recordings into text, live")
    for left in ("/transcriptions/", "/settings/usage/"):
        page.evaluate("history.back()")
        page.wait_for_url(f"**/accounts/login/?next={left}**")
        expect(page.locator("h1")).to_have_text("Sign in")
        expect(page.locator(".segment")).to_have_count(0)
    browser.close()
