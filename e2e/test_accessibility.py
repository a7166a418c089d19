"""axe finds nothing on any page: light, dark and forced colors, on a desktop and at 320 pixels."""

from __future__ import annotations

from ast import literal_eval
from functools import partial

import pytest
from django.template.loader import render_to_string
from playwright.sync_api import Route, expect

from e2e.axe import ADMIN_VARIANTS, SHORT, Axe
from e2e.conftest import PASSWORD, OpenPage
from e2e.test_pages import start, wait_for_state
from transcodio_site.testing import Media, Stack

PUBLIC = (
    *("/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"),
    *(
        "/accounts/password/reset/done/",
        "/docs/search/?q=webhook",
        "/docs/search/?q=nothing-at-all",
    ),
    *("/docs/", "/docs/using-transcodio/", "/docs/api/"),
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
    "/settings/webhooks/{endpoint}/rotate/",
    *("/settings/voices/", "/settings/voices/{voice}/", "/settings/voices/{voice}/delete/"),
    *("/settings/voices/delete-all/", "/accounts/email/{address}/remove/"),
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
from transcriptions.models import SubtitleProfile, Voice
from transcriptions.webhooks.models import Endpoint
user = User.objects.get(email="axe@example.com")
user.is_staff = user.is_superuser = True
user.plan = Plan.objects.create(name="Small", monthly_minutes=600, max_minutes=60, price_cents=900)
user.save()
EmailAddress.objects.filter(user=user).update(verified=True)
work = EmailAddress.objects.create(user=user, email="work@example.com", verified=True)
token, _ = issue_token(user, "Laptop", days=30, monthly_minutes=60)
endpoint = Endpoint.objects.create(owner=user, url="https://example.com/hooks")
Endpoint.objects.create(owner=user, url="https://example.com/gone", disabled_at=timezone.now())
endpoint.create_delivery("webhook.test", "msg_1", {"type": "webhook.test"})
profile = SubtitleProfile.objects.create(owner=user, name="Club", norms={})
voice = Voice.objects.create(owner=user, name="Anna", vector=bytes(512), recordings=2)
Voice.objects.create(owner=user, name="Ben", error="Ben could not be learned. Try again.")
RecoveryCodes.activate(user)
ids = {"token": token.id, "endpoint": endpoint.id, "profile": profile.id}
print(ids | {"voice": voice.id, "address": work.id})
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
# Two targets that are too small, and too close to each other.
ADD_SMALL_TARGETS = """() => {
  for (const label of ["First", "Second"]) {
    const button = document.querySelector("main").appendChild(document.createElement("button"));
    button.ariaLabel = label;
    button.style.cssText = "display: block; width: 12px; height: 12px; min-height: 0; padding: 0";
  }
}"""


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
    axe.report()


@pytest.mark.slow
def test_small_targets_are_found(axe: Axe) -> None:
    axe.open("/accounts/login/", SHORT)
    axe.report()
    axe.page.evaluate(ADD_SMALL_TARGETS)
    axe.check("small", SHORT)
    assert len([text for text in axe.found if "target-size" in text]) == 2 * len(SHORT)


@pytest.mark.slow
def test_public_pages(axe: Axe) -> None:
    for url in PUBLIC:
        axe.open(url)
    for name in ERROR_PAGES:
        axe.page.route(f"**/{name}", partial(answer, render_to_string(name)))
        axe.open(f"/{name}")
    axe.report()


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
    axe.report()


@pytest.mark.slow
def test_admin_site(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("boss@example.com")
    axe = Axe(page)
    stack.manage("seed_demo", "--users", "4", "--days", "60")
    ids = literal_eval(stack.shell(FILL_ADMIN))
    for url in ADMIN:
        axe.open(f"/admin/{url.format_map(ids)}", ADMIN_VARIANTS)
    axe.report()
