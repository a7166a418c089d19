"""The main path through the pages: sign up, upload, follow the transcript, export, delete."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from e2e.conftest import DESKTOP, PASSWORD, PHONE, OpenContext, OpenPage
from e2e.recognized import Recognized
from transcodio_site.testing import SAMPLE, Media, Stack, wait_until

# Records that the page reported it: the text changes again as soon as the page has reconnected.
NOTE_RECONNECTING = """() => {
  const position = document.querySelector("#position");
  new MutationObserver(() => {
    window.reconnecting ||= position.textContent.includes("Reconnecting");
  }).observe(position, { childList: true, characterData: true, subtree: true });
}"""
# The slowest that Chromium plays: a segment lasts sixteen times as long.
SLOW = "audio => { audio.playbackRate = 0.0625; }"
SLOW_AFTER = """(audio, seconds) => {
  audio.playbackRate = 1;
  audio.ontimeupdate = () => { if (audio.currentTime > seconds) audio.playbackRate = 0.0625; };
}"""


def upload(page: Page, path: Path | list[Path]) -> None:
    page.set_input_files("upload-box input[type=file]", path)


def start(page: Page, path: Path) -> str:
    """Uploads one file and returns the URL of its transcript, which the browser has opened."""
    upload(page, path)
    page.wait_for_url("**/transcriptions/*/")
    return page.url


def wait_for_state(page: Page, state: str) -> None:
    page.wait_for_selector(f"#status[data-state={state}]")


def open_menu(page: Page) -> None:
    """Opens the menu of the transcript's page."""
    page.get_by_role("button", name="More", exact=True).click()


def numbers(page: Page) -> list[int]:
    """The ids of the segments on the page, in order."""
    found: list[int] = page.eval_on_selector_all(
        "#segments [data-segment]", "all => all.map((one) => Number(one.dataset.segment))"
    )
    return found


def stored(page: Page) -> dict[str, Any]:
    """The recording as the API returns it."""
    id = page.url.rstrip("/").rsplit("/", 1)[1]
    body: dict[str, Any] = page.request.get(f"/api/transcriptions/{id}").json()
    return body


def assert_complete(page: Page) -> None:
    """Assert that the page shows all stored segments, each once, in order."""
    body = stored(page)
    assert body["state"] == "completed"
    assert numbers(page) == [segment["id"] for segment in body["segments"]]
    assert page.locator(".segment").all_inner_texts() == [
        segment["text"] for segment in body["segments"]
    ]


def answered(page: Page, messages: list[Any]) -> bool:
    """Whether something has been intercepted; Playwright delivers it only during calls."""
    page.evaluate("true")
    return bool(messages)


def test_segments_appear_during_transcription(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("reader@example.com")
    expect(page.locator(".empty")).to_be_visible()
    with stack.hold():
        start(page, SAMPLE)
        expect(page.locator("[data-segment='1']")).to_be_visible()
        expect(page.locator("#status")).to_have_attribute("data-state", "transcribing")
        assert numbers(page) == [1]
        expect(page.locator("#queue-position")).to_have_count(0)
        # Most of the recording has not been processed yet.
        assert 0 < page.evaluate("document.querySelector('#progress').position") < 0.5
    wait_for_state(page, "completed")
    assert_complete(page)
    assert "walking along the harbor" in page.inner_text("#segments")
    expect(page.locator("#segments[aria-live]")).to_have_count(0)
    expect(page.locator("#progress")).to_have_count(0)
    expect(page.locator("#note")).to_be_hidden()


@pytest.mark.slow
def test_page_of_deleted_recording_offers_no_actions(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("elsewhere@example.com")
    with stack.hold():
        start(page, SAMPLE)
        expect(page.locator(".segment").first).to_be_visible()
        page.evaluate(
            "id => fetch(`/api/transcriptions/${id}`, {method: 'DELETE', headers: {"
            "'X-CSRFToken': document.querySelector('[name=csrfmiddlewaretoken]').value}})",
            page.url.split("/")[-2],
        )
        expect(page.get_by_role("alert")).to_have_text("The transcription has been deleted.")
    expect(page.locator("#status")).to_have_text("Deleted")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    expect(page.get_by_role("link", name="Library").first).to_be_visible()


def test_partial_text_is_gray_until_its_segment_replaces_it(
    sign_up: OpenPage, media: Media
) -> None:
    page = sign_up("partial@example.com")
    sockets: list[WebSocketRoute] = []
    later: list[str | bytes] = []

    def with_partial(socket: WebSocketRoute) -> None:
        """The server's events; after the first segment a partial, and the rest is held back."""
        sockets.append(socket)

        def forward(message: str | bytes) -> None:
            event = json.loads(message)
            if event["id"] <= 1:
                socket.send(message)
            else:
                later.append(message)
            if event["type"] == "progress" and event["id"] == 1:
                socket.send(json.dumps({"type": "partial", "id": 1, "text": "it may be that"}))

        server = socket.connect_to_server()
        server.on_message(forward)
        server.on_close(lambda code, reason: None)  # forward the rest first

    page.route_web_socket("**/ws/**", with_partial)
    start(page, media.speech("partial.mp3", 12))
    partial = page.locator("#partial")
    expect(partial).to_have_text("it may be that")
    colors = [
        page.eval_on_selector(s, "e => getComputedStyle(e).color")
        for s in ("#partial", ".segment", ".metadata")
    ]
    assert colors[0] == colors[2] != colors[1]
    wait_until(lambda: answered(page, later) and json.loads(later[-1])["type"] == "complete")
    for message in later:
        sockets[0].send(message)
    wait_for_state(page, "completed")
    expect(partial).to_have_text("")
    assert_complete(page)


@pytest.mark.slow
def test_reopened_tab_shows_all_segments(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("closer@example.com")
    with stack.hold():
        url = start(page, SAMPLE)
        page.wait_for_selector("[data-segment='1']")
        context = page.context
        page.close()
        again = context.new_page()
        again.goto(url)
        assert stored(again)["state"] == "transcribing"
    wait_for_state(again, "completed")
    assert_complete(again)


@pytest.mark.slow
@pytest.mark.covers("fault", "The web server is killed while a page follows a recording")
def test_page_reconnects_after_web_server_crash(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("patient@example.com")
    with stack.hold():
        start(page, SAMPLE)
        page.wait_for_selector("[data-segment='1']")
        assert stack.process
        children = psutil.Process(stack.process.pid).children()
        web = next(c for c in children if "transcodio_site.server" in " ".join(c.cmdline()))
        page.evaluate(NOTE_RECONNECTING)
        web.kill()
        wait_until(lambda: page.evaluate("window.reconnecting"))
    wait_for_state(page, "completed")
    assert page.evaluate("performance.getEntriesByType('navigation').length") == 1
    assert_complete(page)


@pytest.mark.covers("fault", "The server closes the WebSocket of an open page after an error")
def test_page_reconnects_after_server_error(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("error@example.com")
    sockets: list[WebSocketRoute] = []

    def close_first(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if len(sockets) == 1:
            socket.close(code=4500)
        else:
            socket.connect_to_server()

    page.route_web_socket("**/ws/**", close_first)
    with stack.hold():
        start(page, SAMPLE)
        wait_until(lambda: page.evaluate("true") and len(sockets) > 1)
    wait_for_state(page, "completed")
    assert_complete(page)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("film", "There is no sound in this file"),
        pytest.param("damaged", "The file is damaged", marks=pytest.mark.slow),
        pytest.param("too long", "longer than 5 min", marks=pytest.mark.slow),
    ],
)
def test_processing_errors_are_shown_on_transcript(
    sign_up: OpenPage, media: Media, kind: str, words: str
) -> None:
    path = {
        "film": lambda: media.silent_film("film.mp4"),
        "damaged": lambda: media.bytes("damaged.wav", b"RIFF\xd0\x07\0\0WAVE" + bytes(2000)),
        "too long": lambda: media.silence("long.flac", 400),
    }[kind]()
    page = sign_up(f"{kind.replace(' ', '-')}@example.com")
    start(page, path)
    expect(page.get_by_role("alert")).to_contain_text(words)
    wait_for_state(page, "failed")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text(words)


@pytest.mark.slow
def test_silent_recording_shows_note(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("silence@example.com")
    start(page, media.silence("silence.mp3", 4))
    wait_for_state(page, "completed")
    expect(page.locator("#note")).to_contain_text("No speech was found in this recording.")
    assert numbers(page) == []


def test_export_playback_and_deletion(sign_up: OpenPage, recognized: Recognized) -> None:
    page = sign_up("taker@example.com")
    url = recognized(page)
    with page.expect_download() as download:
        page.click("export-dialog [data-open]")
        page.select_option("#export-format", "srt")
        page.click("export-dialog [type=submit]")
    assert download.value.suggested_filename == "harbor.srt"
    assert Path(download.value.path()).read_text().startswith("1\n00:00:00,")
    page.click("export-dialog [data-close]")

    page.focus("transcript-bar [popovertarget=more-menu]")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_focused()
    page.locator(".player-media").evaluate(SLOW)
    page.click("[data-segment='2']")
    expect(page.locator("[data-segment='2'][aria-current]")).to_be_visible()

    open_menu(page)
    page.click("confirm-dialog .button-danger[data-open]")
    page.click("confirm-dialog .button-danger-solid")
    expect(page.locator(".messages")).to_contain_text("“harbor” has been deleted.")
    expect(page.locator("[data-transcription]")).to_have_count(0)
    page.goto(url)
    expect(page.locator("h1")).to_have_text("Page not found")


@pytest.mark.slow
def test_player_does_not_scroll_back_after_manual_scroll(
    sign_up: OpenPage, recognized: Recognized
) -> None:
    page = sign_up("wanderer@example.com", (390, 250))
    recognized(page)
    heard, next_one = (page.locator(f"[data-segment='{n}'][aria-current]") for n in (2, 3))
    audio = page.locator(".player-media")
    audio.evaluate(SLOW)  # time enough to scroll away
    page.click("[data-segment='2']")
    second, third = (
        float(page.locator(f"[data-segment='{n}']").get_attribute("data-start") or 0)
        for n in (2, 3)
    )
    wait_until(lambda: audio.evaluate("audio => audio.currentTime") > second + 0.05)
    expect(heard).to_be_in_viewport()
    page.evaluate("window.scrollTo(0, 0)")
    expect(heard).not_to_be_in_viewport()
    audio.evaluate(SLOW_AFTER, third)
    expect(next_one).to_have_count(1)
    assert page.evaluate("window.scrollY") == 0
    page.get_by_role("button", name="Follow").click()
    expect(page.locator(".segment[aria-current]")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Follow")).to_be_hidden()


def email_link(stack: Stack, address: str, path: str) -> str:
    """The link to `path` in an email to `address`, which the console backend prints."""
    links: list[str] = []

    def printed() -> bool:
        emails = "".join(stack.output).split("\nTo: ")
        mine = "".join(email for email in emails if email.startswith(f"{address}\n"))
        links[:] = re.findall(rf"http://\S+?{path}[\w:/-]+", mine)
        return bool(links)

    wait_until(printed)
    return links[-1]


def test_sign_in_with_passkey(open_context: OpenContext, stack: Stack) -> None:
    # A passkey belongs to a domain name, not to an IP address.
    context = open_context(base_url=stack.url.replace("127.0.0.1", "localhost"))
    page = context.new_page()
    device = context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    features = ("hasResidentKey", "hasUserVerification", "isUserVerified")
    options = {"protocol": "ctap2", "transport": "internal"} | dict.fromkeys(features, True)
    device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto("/accounts/signup/")
    page.fill("[name=email]", "passkey@example.com")
    page.fill("[name=password1]", PASSWORD)
    page.fill("[name=password2]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_selector("upload-box")
    link = email_link(stack, "passkey@example.com", "/accounts/confirm-email/")
    page.goto(link.replace("127.0.0.1", "localhost"))
    page.click("main button[type=submit]")
    page.wait_for_selector("upload-box")
    page.goto("/accounts/2fa/webauthn/add/")
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.fill("[name=name]", "My laptop")
    page.wait_for_load_state()  # a click before the script is there would do nothing
    page.check("[name=passwordless]")
    page.click("#mfa_webauthn_add")
    page.wait_for_url("**/recovery-codes/")
    page.goto("/accounts/2fa/webauthn/")
    expect(page.locator("main")).to_contain_text("My laptop")
    page.click("header button[type=submit]")
    expect(page.locator("h1")).to_have_text("Turn recordings into text, live")
    page.goto("/accounts/login/")
    page.click("#passkey_login")
    page.wait_for_selector("upload-box")
    expect(page.locator(".account-link")).to_contain_text("passkey@example.com")


def test_stranger_gets_404_on_transcript(
    sign_up: OpenPage, open_context: OpenContext, media: Media
) -> None:
    owner = sign_up("owner@example.com")
    url = start(owner, media.speech("private.mp3", 5))
    stranger = sign_up("stranger@example.com")
    answer = stranger.goto(url)
    assert answer
    assert answer.status == 404
    anonymous = open_context().new_page()
    anonymous.goto(url)
    assert "/accounts/login/" in anonymous.url


def test_sign_out_and_sign_in_again(sign_up: OpenPage) -> None:
    page = sign_up("returning@example.com")
    page.click("header button[type=submit]")
    expect(page.locator("h1")).to_have_text("Turn recordings into text, live")
    page.goto("/accounts/login/")
    page.fill("[name=login]", "Returning@Example.com")
    page.fill("[name=password]", "wrong")
    page.click("main button[type=submit]")
    expect(page.get_by_role("alert")).to_be_visible()
    page.fill("[name=password]", "correct horse battery")
    page.click("main button[type=submit]")
    page.wait_for_selector("upload-box")


@pytest.mark.parametrize(
    ("scheme", "size"),
    [
        pytest.param("light", PHONE, id="light-phone"),
        pytest.param("dark", DESKTOP, id="dark-desktop"),
        pytest.param("dark", PHONE, id="dark-phone", marks=pytest.mark.slow),
        pytest.param("light", DESKTOP, id="light-desktop", marks=pytest.mark.slow),
    ],
)
def test_no_horizontal_overflow_in_light_and_dark(
    sign_up: OpenPage, media: Media, size: tuple[int, int], scheme: str
) -> None:
    page = sign_up(f"{size[0]}-{scheme}@example.com", size, scheme)
    name = "A_recording_with_a_very_long_name_and_no_space_in_it_" * 3
    transcript = start(page, media.silence(f"{name}.mp3", 1))
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(n) for n in re.findall(r"\d+", ground)[:3]) / 3
    assert (brightness < 60) if scheme == "dark" else (brightness > 200)
    for address in ("/", transcript, "/accounts/email/", "/accounts/password/change/", "/nothing"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
