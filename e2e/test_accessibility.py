"""axe finds nothing on any page: light, dark and forced colors, on a desktop and at 320 pixels."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.template.loader import render_to_string
from playwright.sync_api import Page, Route, expect

from e2e.conftest import PASSWORD, OpenPage
from e2e.test_editing import assert_saved, caret
from e2e.test_pages import open_menu, start, wait_for_state
from e2e.test_speakers import name_of, open_talk
from transcodio_site.testing import Media, Stack

DESKTOP, NARROW = (1280, 900), (320, 640)
# The colors of a scheme are the same for all widths, and the elements are the same in all schemes:
# all rules are checked once for each width, and contrast in each scheme.
COLORS = {"runOnly": ["color-contrast", "link-in-text-block"]}
Variant = tuple[tuple[int, int], dict[str, Any], dict[str, Any]]  # size, media, options of axe
VARIANTS: tuple[Variant, ...] = (
    (DESKTOP, {"color_scheme": "light", "forced_colors": "none"}, {}),
    (DESKTOP, {"color_scheme": "dark", "forced_colors": "none"}, COLORS),
    (DESKTOP, {"color_scheme": "light", "forced_colors": "active"}, COLORS),
    (NARROW, {"color_scheme": "light", "forced_colors": "active"}, COLORS),
    (NARROW, {"color_scheme": "light", "forced_colors": "none"}, COLORS),
    (NARROW, {"color_scheme": "dark", "forced_colors": "none"}, {}),
)
SHORT = VARIANTS[::5]  # all rules, for both widths and two schemes
PHONE = (390, 844)
# Without `preload`, with which axe adds styles to a page whose style sheets import others, as those
# of Django's forms do: the policy blocks them.
ADMIN_VARIANTS: tuple[Variant, ...] = (
    (DESKTOP, {"color_scheme": "light", "forced_colors": "none"}, {"preload": False}),
    (DESKTOP, {"color_scheme": "dark", "forced_colors": "none"}, COLORS | {"preload": False}),
    (DESKTOP, {"color_scheme": "light", "forced_colors": "active"}, COLORS | {"preload": False}),
    (PHONE, {"color_scheme": "dark", "forced_colors": "active"}, COLORS | {"preload": False}),
    (PHONE, {"color_scheme": "dark", "forced_colors": "none"}, {"preload": False}),
)
RUN = """async (options) => {
  for (const change of document.getAnimations())
    if (change instanceof CSSTransition) change.finish(); // of colors, to another scheme
  const {violations} = await axe.run(document, {resultTypes: ["violations"], ...options});
  return violations.flatMap(({id, nodes}) =>
    nodes.map(({target, failureSummary}) => `${id}: ${target.join(" ")}: ${failureSummary}`));
}"""
# Only the first blocks of long documents, whose blocks are alike: axe needs a minute for all of
# them.
SHORTEN = """() => {
  for (const list of document.querySelectorAll(".docs-text, .docs-contents ul"))
    [...list.children].slice(15).forEach((child) => child.remove());
}"""
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"

PUBLIC = (
    *("/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"),
    *(
        "/accounts/password/reset/done/",
        "/docs/search/?q=webhook",
        "/docs/search/?q=nothing-at-all",
    ),
    *("/api/docs", "/invited/unknown/", "/offline/", "/no-such-page"),
)
ERROR_PAGES = ("403.html", "403_csrf.html", "429.html", "500.html")
SIGNED_IN = (
    *(
        "/record/",
        "/?q=harbor",
        "/?q=nothing-at-all",
        "/accounts/logout/",
        "/accounts/confirm-email/",
    ),
    *("/accounts/email/", "/accounts/password/change/", "/accounts/sessions/"),
    *("/accounts/sessions/end/", "/accounts/3rdparty/", "/accounts/reauthenticate/"),
    *("/settings/usage/", "/settings/usage/details/", "/settings/transcription/"),
    *("/settings/subtitles/", "/settings/subtitles/new/", "/settings/subtitles/{profile}/"),
    *("/settings/subtitles/{profile}/delete/", "/settings/tokens/", "/settings/data/"),
    *("/settings/tokens/{token}/revoke/", "/settings/activity/", "/settings/webhooks/"),
    *("/settings/webhooks/{endpoint}/", "/settings/webhooks/{endpoint}/delete/"),
    *("/accounts/2fa/", "/accounts/2fa/totp/activate/", "/accounts/2fa/recovery-codes/"),
    *("/accounts/2fa/recovery-codes/generate/", "/accounts/2fa/webauthn/add/"),
)
# Rows for the lists of the settings, and a superuser for the admin site. Prints the ids.
FILL = """
from allauth.account.models import EmailAddress
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.utils import timezone
from accounts.models import Plan, User
from accounts.tokens import issue_token
from transcriptions.models import SubtitleProfile
from transcriptions.webhooks.models import Endpoint
user = User.objects.get(email="axe@example.com")
user.is_staff = user.is_superuser = True
user.plan = Plan.objects.create(name="Small", monthly_minutes=600, max_minutes=60, price_cents=900)
user.save()
EmailAddress.objects.filter(user=user).update(verified=True)
EmailAddress.objects.create(user=user, email="work@example.com", verified=True)
token, _ = issue_token(user, "Laptop", days=30, monthly_minutes=60)
endpoint = Endpoint.objects.create(owner=user, url="https://example.com/hooks")
Endpoint.objects.create(owner=user, url="https://example.com/gone", disabled_at=timezone.now())
endpoint.create_delivery("webhook.test", "msg_1", {"type": "webhook.test"})
profile = SubtitleProfile.objects.create(owner=user, name="Club", norms={})
RecoveryCodes.activate(user)
print({"token": token.id, "endpoint": endpoint.id, "profile": profile.id})
"""
ADMIN = (
    *("", "accounts/user/", "accounts/user/{user}/change/", "accounts/user/{user}/delete/"),
    *("accounts/usageday/?by=user", "accounts/usageday/?until=2019-05-01"),
    *("accounts/usagerecord/", "accounts/usagerecord/{charge}/change/"),
    "transcriptions/transcription/{recording}/change/",
)
FILL_ADMIN = """
from accounts.models import UsageRecord, User
from transcriptions.models import Transcription
User.objects.filter(email="boss@example.com").update(is_staff=True, is_superuser=True)
seeded = User.objects.filter(email__endswith="@seeded.example")
recording = Transcription.objects.filter(owner__in=seeded).first()
charge = UsageRecord.objects.filter(transcription=recording.id).first()
print({"user": seeded[0].pk, "charge": charge.pk, "recording": str(recording.id)})
"""
# Without a credential: it is only needed to open the pages about existing keys.
ADD_KEY = """
from allauth.mfa.models import Authenticator
from accounts.models import User
user = User.objects.get(email="axe@example.com")
data = {"name": "Laptop", "passwordless": True}
print(Authenticator.objects.create(user=user, type="webauthn", data=data).id)
"""


class Axe:
    """Runs axe on pages, and collects what it finds."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.found: list[str] = []

    def open(self, url: str, variants: Iterable[Variant] = VARIANTS) -> None:
        """Check the page at that URL."""
        self.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        response = self.page.goto(url)
        assert response
        assert self.page.url.endswith(url), f"{url} redirects to {self.page.url}"
        self.check(url, variants)

    def check(self, name: str, variants: Iterable[Variant] = VARIANTS) -> None:
        """Check the page in its present state."""
        self.page.evaluate(SHORTEN)
        self.page.evaluate(AXE_SCRIPT)
        for (width, height), colors, options in variants:
            self.page.set_viewport_size({"width": width, "height": height})
            self.page.emulate_media(reduced_motion="reduce", **colors)
            variant = f"{name} {width} {' '.join(colors.values())}"
            self.found += [f"{variant}: {text}" for text in self.page.evaluate(RUN, options)]
            if overflow := self.page.evaluate(OVERFLOW):
                self.found.append(f"{variant}: {overflow} px too wide")


def answer(html: str, route: Route) -> None:
    """Answer a request with a page that the server sends only after errors."""
    route.fulfill(body=html, content_type="text/html")


@pytest.fixture
def axe(open_page: OpenPage) -> Axe:
    """axe for a visitor."""
    return Axe(open_page())


def test_most_important_pages(sign_up: OpenPage) -> None:
    page = sign_up("axe-short@example.com")
    axe = Axe(page)
    axe.check("empty library", SHORT)
    for url in ("/settings/transcription/", "/settings/tokens/"):
        axe.open(url, SHORT)
    page.context.clear_cookies()
    for url in ("/", "/accounts/login/"):
        axe.open(url, SHORT)
    assert not axe.found, "\n".join(axe.found)


@pytest.mark.slow
def test_public_pages(axe: Axe) -> None:
    for url in PUBLIC:
        axe.open(url)
    for name in ERROR_PAGES:
        axe.page.route(f"**/{name}", partial(answer, render_to_string(name)))
        axe.open(f"/{name}")
    assert not axe.found, "\n".join(axe.found)


@pytest.mark.slow
def test_pages_of_a_user(sign_up: OpenPage, media: Media, stack: Stack) -> None:
    page = sign_up("axe@example.com")
    axe = Axe(page)
    axe.check("empty library")
    start(page, media.speech("harbor.mp3", 5))
    wait_for_state(page, "completed")
    axe.open("/")
    ids = literal_eval(stack.shell(FILL))
    page.goto("/accounts/reauthenticate/")  # required by pages of two-factor authentication
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_selector("upload-box:defined")
    for url in SIGNED_IN:
        axe.open(url.format_map(ids))
    key = int(stack.shell(ADD_KEY))
    for url in ("", f"keys/{key}/edit/", f"keys/{key}/remove/"):
        axe.open(f"/accounts/2fa/webauthn/{url}")
    axe.open("/settings/tokens/")
    page.get_by_role("link", name="Revoke Laptop").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    axe.check("dialog")
    page.goto("/settings/data/")
    page.select_option("[name=keep_days]", "7")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Save and delete")).to_be_visible()
    axe.check("retention")
    assert not axe.found, "\n".join(axe.found)


def test_transcript(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("axe-reader@example.com")
    open_talk(page, stack, "1122", audio=True)
    axe = Axe(page)
    axe.check("transcript")
    name_of(page, 3).click()
    axe.check("speaker")
    page.keyboard.press("Escape")
    for key, name in (("Control+f", "search"), ("Alt+o", "notes"), ("Alt+/", "shortcuts")):
        page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        page.keyboard.press(key)
        axe.check(name, SHORT)
        page.keyboard.press("Escape")
    assert not axe.found, "\n".join(axe.found)


@pytest.mark.slow
def test_dialogs_of_versions_and_conflicts(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("axe-editor@example.com")
    open_talk(page, stack, "1122")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#segments[contenteditable]")).to_be_visible()
    caret(other, 1, 0)
    other.keyboard.type("Theirs. ")
    caret(other, 2, 0)
    assert_saved(other)
    axe = Axe(page)
    caret(page, 1, 0)
    page.keyboard.type("Mine. ")
    dialog = page.get_by_role("dialog", name="Someone else edited this")
    expect(dialog).to_be_visible()
    axe.check("conflict")
    dialog.get_by_role("button", name="Keep mine").click()
    expect(dialog).to_be_hidden()
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    open_menu(page)
    page.get_by_role("button", name="Versions", exact=True).click()
    dialog = page.get_by_role("dialog", name="Versions")
    dialog.get_by_role("radio").last.check()
    expect(dialog.locator("[data-details] del").first).to_be_visible()
    axe.check("versions")
    assert not axe.found, "\n".join(axe.found)


@pytest.mark.slow
def test_admin_site(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("boss@example.com")
    axe = Axe(page)
    stack.manage("seed_demo", "--users", "4", "--days", "60")
    ids = literal_eval(stack.shell(FILL_ADMIN))
    for url in ADMIN:
        axe.open(f"/admin/{url.format_map(ids)}", ADMIN_VARIANTS)
    assert not axe.found, "\n".join(axe.found)
