"""`make screenshots`: recreates the pictures of README.md and the documentation.

It starts a separate service, fills a library with parts of the sample recording, and takes the
pictures in Chromium. They are saved with a palette of 256 colors, which makes them small.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from e2e.browser import FLAGS, find_browser
from e2e.recorder import browser_with_microphone
from transcodio_site.embedded.cluster import OWNER_NOTE, SERVER_HOMES
from transcodio_site.testing import ROOT, Media, Stack, wait_until

FOLDER = ROOT / "docs" / "screenshots"
EMAIL, ADMIN, PASSWORD = "anna@example.com", "admin@example.com", "correct horse battery"
DESKTOP, PHONE, CAPTIONS = (1120, 780), (390, 780), (1120, 640)
MAX_COLORS = 256
# Titles of recordings with their seconds of the sample, the oldest first.
RECORDINGS = {
    "Market hall, opening hours": 12,
    "Interview with the harbor master": 34,
    "Voice memo, Tuesday": 9,
}
CONVERSATION, NAMES = "Along the harbor", ("Anna", "Ben")
LIVE = "Walk with Anna"
IN_PROGRESS = "The boats come home"
CREATE_USERS = f"""
from allauth.account.models import EmailAddress
from accounts.models import User
for email, is_admin in (("{EMAIL}", False), ("{ADMIN}", True)):
    user = User.objects.create_user(
        email, "{PASSWORD}", is_staff=is_admin, is_superuser=is_admin)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
"""
# The recording with the most steps, which took several attempts.
FIND_LONGEST = """
from django.db.models import Count
from transcriptions.models import Transcription
print("ID", Transcription.objects.annotate(length=Count("steps")).latest("length").id)
"""


class DemoStack(Stack):
    """A service with the default limits instead of those of tests."""

    @property
    def environment(self) -> dict[str, str]:
        """See `Stack`."""
        limits = ("MAX_FILE_SIZE_MB", "MAX_DURATION_SECONDS")
        return {name: value for name, value in super().environment.items() if name not in limits}


def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="transcodio-screenshots-") as folder:
        media = Path(folder, "media")
        media.mkdir()
        with running(Path(folder)) as stack:
            run(stack, "shell", "--command", CREATE_USERS)
            with sync_playwright() as playwright:
                with browser_with_microphone(playwright, Media(media)) as browser:
                    take_recorder(browser, stack)
                browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
                take_pages(browser, stack, Media(media))
                take_admin(browser, stack)
                browser.close()


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """The service, while the body runs."""
    folder.chmod(0o711)  # so that the Postgres user can reach its data
    stack = DemoStack(folder)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        for data in (Path(os.environ["VAR_DIR"]), *server_homes(folder)):
            shutil.rmtree(data, ignore_errors=True)


def server_homes(folder: Path) -> Iterator[Path]:
    """The folders that root's Postgres uses elsewhere for this data folder."""
    for note in SERVER_HOMES.glob(f"*/{OWNER_NOTE}"):
        if Path(note.read_text().strip()).is_relative_to(folder):
            yield note.parent


def run(stack: Stack, *arguments: str) -> str:
    """Run a management command. Returns what it prints."""
    done = stack.manage(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def take_recorder(browser: Browser, stack: Stack) -> None:
    """Take pictures of the recorder and its live captions."""
    page = sign_in(browser, stack, EMAIL, DESKTOP)
    page.goto("/record/")
    page.wait_for_selector("live-recorder:defined")
    page.get_by_label("Title").fill(LIVE)
    page.get_by_label("Language").select_option("en")
    page.get_by_role("button", name="Start recording").click()
    page.locator("recorded-text").get_by_text("harbor").first.wait_for()
    page.get_by_role("button", name="Share live captions").click()
    page.get_by_role("button", name="Create a link").click()
    page.locator("share-captions [data-shared]").wait_for()
    captions = page.context.new_page()
    captions.set_viewport_size({"width": CAPTIONS[0], "height": CAPTIONS[1]})
    captions.goto(page.get_by_label("Link", exact=True).input_value())
    captions.get_by_text("bread").first.wait_for()
    take(captions, "live-captions")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    take(page, "recorder")
    page.get_by_role("button", name="Stop").click()
    page.wait_for_url("**/transcriptions/*/")
    finished(page)


def take_pages(browser: Browser, stack: Stack, media: Media) -> None:
    """Take pictures of a user's pages."""
    page = sign_in(browser, stack, EMAIL, DESKTOP)
    for title, seconds in RECORDINGS.items():
        upload(page, media.speech(f"{title}.mp3", seconds))
        finished(page)
    conversation = upload(page, media.two_voices(f"{CONVERSATION}.mp3"), diarize="true")
    finished(page)
    for number, name in enumerate(NAMES, 1):
        call(page, "PATCH", f"{conversation}/speakers/{number}", name=name)
    take_library(page, stack, media)
    page.goto(f"/transcriptions/{conversation}/")
    take(page, "transcript")
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_label("Format").select_option("vtt")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("follow the rules").wait_for()
    save(dialog.screenshot(), "export")
    phone = sign_in(browser, stack, EMAIL, PHONE, scheme="dark")
    phone.goto(f"/transcriptions/{conversation}/")
    take(phone, "transcript-phone")


def take_library(page: Page, stack: Stack, media: Media) -> None:
    """Take a picture of the library while a recording is transcribed."""
    with stack.hold():
        upload(page, media.speech(f"{IN_PROGRESS}.mp3"))
        page.goto("/")
        page.locator("[data-state=transcribing]").wait_for()
        take(page, "library")
    finished(page)


def take_admin(browser: Browser, stack: Stack) -> None:
    """Take pictures of the report and of a recording in the admin site, with demo data."""
    run(stack, "seed_demo", "--users", "150")
    longest = run(stack, "shell", "--command", FIND_LONGEST).rpartition("ID ")[2].strip()
    page = sign_in(browser, stack, ADMIN, (1280, 900))
    page.goto("/admin/accounts/usageday/")
    take(page, "usage-report")
    page.goto(f"/admin/transcriptions/transcription/{longest}/change/")
    take(page, "recording-timeline")


def sign_in(
    browser: Browser, stack: Stack, email: str, size: tuple[int, int], scheme: Any = "light"
) -> Page:
    """A page in a new profile, with the library of this user."""
    context = browser.new_context(
        base_url=stack.url,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        reduced_motion="reduce",
        service_workers="block",
        locale="en-US",
        timezone_id="UTC",
    )
    page = context.new_page()
    page.goto("/accounts/login/")
    page.fill("[name=login]", email)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_selector("upload-box:defined")
    return page


def call(page: Page, method: str, path: str, **fields: Any) -> Any:
    """Call the API with the session of the page."""
    (token,) = [c["value"] for c in page.context.cookies() if c["name"] == "csrftoken"]
    response = page.request.fetch(
        f"/api/transcriptions/{path}".rstrip("/"),
        method=method,
        headers={"X-CSRFToken": token},
        data=fields if method == "PATCH" else None,
        multipart=fields if method == "POST" else None,
    )
    assert response.ok, response.text()
    return response.json()


def upload(page: Page, path: Path, **options: str) -> str:
    """Upload a recording with its name as the title. Returns its id."""
    id: str = call(page, "POST", "", file=path, **options)["id"]
    return id


def finished(page: Page) -> None:
    """Wait until all recordings are completed, with their speakers."""

    def is_done() -> bool:
        items = page.request.get("/api/transcriptions").json()["items"]
        return all(item["state"] == "completed" for item in items)

    wait_until(is_done)


def take(page: Page, name: str) -> None:
    """Save a picture of the window."""
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")
    save(page.screenshot(), name)


def save(png: bytes, name: str) -> None:
    """Save with a palette, which makes a picture a third as large."""
    path = FOLDER / f"{name}.png"
    image = (
        Image.open(io.BytesIO(png)).convert("RGB").quantize(MAX_COLORS, dither=Image.Dither.NONE)
    )
    image.save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} KB")  # noqa: T201


if __name__ == "__main__":
    main()
