"""The upload box: file picker, drag and drop, errors, lost connections and retries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from e2e.conftest import OpenPage
from e2e.test_pages import answered, upload
from transcodio_site.testing import Media, wait_until

# The next request reports an error when its response arrives.
# By itself.
NO_RETRY = "box => { box.queue.delay = 600_000; }"
LOSE_AN_ANSWER = """() => {
  const listen = XMLHttpRequest.prototype.addEventListener;
  XMLHttpRequest.prototype.addEventListener = function (name, heard) {
    if (name === "error") {
      listen.call(this, "load", heard);
      XMLHttpRequest.prototype.addEventListener = listen;
    }
  };
}"""


@pytest.mark.slow
def test_file_chosen_before_script_loads_is_uploaded(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("quick@example.com")
    scripts: list[Route] = []
    page.route("**/upload-box.js", lambda route: scripts.append(route))
    page.goto("/", wait_until="commit")
    page.wait_for_selector("upload-box:not(:defined)")
    upload(page, media.silence("quick.mp3", 1))
    wait_until(lambda: answered(page, scripts))
    scripts[0].continue_()
    page.wait_for_url("**/transcriptions/*/")


@pytest.mark.slow
def test_several_uploads_stay_in_library_with_live_rows(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("several@example.com")
    files = [media.speech("one.mp3", 5), media.speech("two.webm", 5), media.speech("three.m4a", 5)]
    page.set_input_files("upload-box input[type=file]", files)
    expect(page.locator("[data-transcription]")).to_have_count(3)
    expect(page.locator("[data-transcription] [data-state=completed]")).to_have_count(3)
    titles = set(page.locator(".recording-title").all_inner_texts())
    assert titles == {"one", "two", "three"}


@pytest.mark.slow
def test_uploads_during_a_search_are_shown(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("searcher@example.com")
    page.goto("/?q=nothing-at-all")
    files = [media.silence("one.mp3", 1), media.silence("two.mp3", 1)]
    page.set_input_files("upload-box input[type=file]", files)
    expect(page.locator("[data-transcription]")).to_have_count(2)
    page.wait_for_url(re.compile("/$"))

    page.goto("/?q=nothing-at-all")
    Path(files[0]).with_name("notes.txt").write_text("not a recording")
    files = [media.silence("three.mp3", 1), Path(files[0]).with_name("notes.txt")]
    page.set_input_files("upload-box input[type=file]", files)
    expect(page.locator("[data-transcription]")).to_have_count(3)
    expect(page.locator("upload-box [data-phase=failed]")).to_be_visible()
    page.wait_for_url(re.compile("/$"))


def test_dropped_file_is_uploaded_and_refused(sign_up: OpenPage) -> None:
    page = sign_up("dropper@example.com")
    transfer = page.evaluate_handle(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(['not a recording'], 'notes.mp3'));
          return transfer;
        }"""
    )
    page.dispatch_event("upload-box", "dragover", {"dataTransfer": transfer})
    expect(page.locator("upload-box.drag-over")).to_be_visible()
    page.dispatch_event("upload-box", "drop", {"dataTransfer": transfer})
    expect(page.get_by_role("alert")).to_contain_text("not a recording in a format we can read")


def test_upload_errors_are_shown_per_file(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("refused@example.com")
    for path, words in (
        (media.bytes("empty.mp3", b""), "The file is empty"),
        (media.bytes("diary.mp3", b"Dear diary"), "not a recording in a format we can read"),
        (media.bytes("huge.wav", bytes(9 << 20)), "larger than 8 MB"),
    ):
        upload(page, path)
        expect(page.get_by_role("alert").last).to_contain_text(words)
    assert page.locator("[data-phase=failed]").count() == 3
    page.click("[data-phase=failed] >> text=Dismiss")
    expect(page.locator("[data-phase=failed]")).to_have_count(2)


@pytest.mark.slow
def test_retry_after_lost_connection(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("lost@example.com")
    page.route("**/api/transcriptions", lambda route: route.abort("connectionreset"))
    page.locator("upload-box").evaluate(NO_RETRY)
    upload(page, media.silence("lost.mp3", 1))
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost")
    page.unroute("**/api/transcriptions")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url("**/transcriptions/*/")


def test_retry_after_lost_response_creates_one_recording(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("answer@example.com")
    page.evaluate(LOSE_AN_ANSWER)
    page.locator("upload-box").evaluate(NO_RETRY)
    upload(page, media.silence("once.mp3", 1))
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url("**/transcriptions/*/")
    assert len(page.request.get("/api/transcriptions").json()["items"]) == 1


def test_uploaded_file_can_be_opened_while_another_failed(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("both@example.com")
    upload(page, [media.silence("good.mp3", 1), media.bytes("diary.mp3", b"Dear diary")])
    expect(page.get_by_role("alert")).to_contain_text("not a recording in a format we can read")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    address = page.get_by_role("link", name="good.mp3").get_attribute("href")
    expect(page.locator(".recording-title")).to_have_attribute("href", str(address))
    page.click("[data-phase=failed] >> text=Dismiss")
    expect(page.locator("upload-box li")).to_have_count(0)  # the list was reloaded
    expect(page.locator(".recording-title")).to_have_attribute("href", str(address))


@pytest.mark.slow
def test_dismissed_file_does_not_count(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("second-try@example.com")
    upload(page, media.bytes("diary.mp3", b"Dear diary"))
    page.click("[data-phase=failed] >> text=Dismiss")
    upload(page, media.silence("good.mp3", 1))
    page.wait_for_url("**/transcriptions/*/")
