"""Audio and video that a phone shares with the installed app."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from e2e.conftest import PASSWORD
from e2e.test_offline import sign_in, sign_out, stored
from e2e.test_queued_uploads import recordings
from transcodio_site.testing import Media, Stack, wait_until

# What the operating system does: it sends a form to the URL in the manifest.
SHARE = """async () => {
  const manifest = await (await fetch("/manifest.webmanifest")).json();
  const { action, method, enctype, params } = manifest.share_target;
  const form = Object.assign(document.createElement("form"), { action, method, enctype });
  form.innerHTML = `<input type="file" multiple name="${params.files[0].name}">`;
  document.body.append(form);
}"""


def share(page: Page, *paths: Path) -> None:
    page.evaluate(SHARE)
    form = page.locator("body > form")
    form.locator("input").set_input_files(paths)
    form.evaluate("form => form.submit()")


def confirm(page: Page, answer: str = "Upload") -> None:
    """Answer whether the shared files are to be uploaded."""
    region = page.get_by_role("region", name="Shared with Transcodio")
    region.get_by_role("button", name=answer).click()
    expect(region).to_be_hidden()


def test_shared_files_are_uploaded(app: BrowserContext, stack: Stack, media: Media) -> None:
    page = app.new_page()
    sign_in(page, stack, "phone@example.com")
    share(page, media.silence("memo.mp3", 1), media.silence("call.mp3", 2))
    confirm(page)
    expect(page.locator(".recording-title")).to_have_count(2)
    assert sorted(recordings(page)) == ["call", "memo"]
    assert (stored(page)["uploads"], stored(page)["shared"]) == ([], [])


@pytest.mark.slow
@pytest.mark.covers("fault", "A file is shared with the app while the phone is offline")
def test_file_shared_offline_is_uploaded_later(
    app: BrowserContext, stack: Stack, media: Media
) -> None:
    page = app.new_page()
    sign_in(page, stack, "train@example.com")
    page.evaluate(SHARE)
    page.locator("body > form input").set_input_files(media.silence("memo.mp3", 1))
    app.set_offline(True)
    page.locator("body > form").evaluate("form => form.submit()")
    expect(page.get_by_text("The file that you shared is kept")).to_be_visible()
    app.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    confirm(page)
    expect(page.locator(".recording-title")).to_have_text("memo")


@pytest.mark.slow
@pytest.mark.covers("fault", "The session has ended when a file is shared with the app")
def test_file_shared_while_signed_out_waits_for_the_sign_in(
    app: BrowserContext, stack: Stack, media: Media
) -> None:
    page = app.new_page()
    sign_in(page, stack, "later@example.com")
    app.clear_cookies(name="sessionid")
    share(page, media.silence("memo.mp3", 1))
    expect(page.get_by_text("Sign in to upload the file that you shared.")).to_be_visible()
    page.fill("[name=login]", "later@example.com")
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    confirm(page)
    expect(page.locator(".recording-title")).to_have_text("memo")
    assert recordings(page) == ["memo"]


@pytest.mark.slow
@pytest.mark.covers(
    "attack", "The next user of a browser uploads a file that someone else has shared"
)
def test_shared_file_is_not_uploaded_by_another_user(
    app: BrowserContext, stack: Stack, media: Media
) -> None:
    page = app.new_page()
    sign_in(page, stack, "first@example.com")
    app.clear_cookies(name="sessionid")
    share(page, media.silence("private.mp3", 1))
    expect(page.get_by_text("Sign in to upload")).to_be_visible()
    assert len(stored(page)["shared"]) == 1
    sign_in(page, stack, "second@example.com")
    page.reload()
    expect(page.locator("upload-box:defined li")).to_have_count(0)
    expect(page.locator("shared-files:defined")).to_be_hidden()
    wait_until(lambda: stored(page)["shared"] == [])
    assert recordings(page) == []
    sign_out(page)


# A page of another site that hides the origin of its form.
FORGERY = """<meta name="referrer" content="no-referrer">
<form action="{action}" method="post" enctype="multipart/form-data">
  <input type="file" name="file"></form>
<script>
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(2500)], "forged.mp3", {{ type: "audio/mpeg" }}));
  document.querySelector("input").files = files.files;
  document.querySelector("form").submit();
</script>"""


@pytest.mark.slow
@pytest.mark.covers("attack", "Another site shares a file with the app")
def test_forged_share_is_not_uploaded_unless_it_is_confirmed(
    app: BrowserContext, stack: Stack
) -> None:
    page = app.new_page()
    sign_in(page, stack, "victim@example.com")
    other = FORGERY.format(action=f"{stack.url}/share/")
    app.route("http://other.example/**", lambda r: r.fulfill(body=other, content_type="text/html"))
    page.goto("http://other.example/", wait_until="commit")
    region = page.get_by_role("region", name="Shared with Transcodio")
    expect(region.get_by_role("listitem")).to_have_text("forged.mp3 2 kB")
    page.reload()
    expect(region).to_be_visible()  # it is neither lost nor uploaded
    assert recordings(page) == []
    confirm(page, "Discard")
    wait_until(lambda: stored(page)["shared"] == [])
    page.reload()
    expect(page.locator("shared-files:defined")).to_be_hidden()
    assert (stored(page)["uploads"], recordings(page)) == ([], [])
