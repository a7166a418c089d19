"""A page that records, for tests: its microphone plays a file, and all captured audio is kept."""

from __future__ import annotations

import subprocess
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    WebSocketRoute,
    expect,
)

from e2e.conftest import BROWSERS, FLAGS, WAIT_MS, installed, register
from transcodio_site.testing import WAIT_S, Media, Stack, wait_until
from transcriptions.processing.media.program import ffmpeg_binary

SPOKEN = "walking along the harb"  # Whisper may use British spelling
SECONDS = 12.0  # of speech, which the microphone repeats
WAV = ("-ar", "48000", "-ac", "1", "-c:a", "pcm_s16le")
BYTES_PER_S = 48_000
# Passes every piece of audio to the test, before the page does anything with it.
HEAR = """async () => {
  const { RecordedAudio } = await import("/static/js/recorded-audio.js");
  const { add } = RecordedAudio.prototype;
  RecordedAudio.prototype.add = function (data) {
    hear(btoa(String.fromCharCode(...new Uint8Array(data))));
    return add.call(this, data);
  };
}"""

# The id of the microphone that is open.
DEVICE = """() => {
  const { capture } = document.querySelector("sound-source");
  return capture?.streams[0]?.getAudioTracks()[0].getSettings().deviceId ?? "";
}"""
# The color of words that are final, of tentative ones, and of the text of the page.
COLORS = """async (selector) => {
  const { showPartial } = await import("/static/js/partial-text.js");
  const partial = document.querySelector(selector);
  showPartial(partial, { text: "final tentative", tentative: "tentative" });
  const parts = [partial.querySelector(".final-words"), partial, document.body];
  return parts.map((element) => getComputedStyle(element).color);
}"""


@contextmanager
def browser_with_microphone(playwright: Playwright, media: Media) -> Iterator[Browser]:
    """A Chromium whose microphone plays the beginning of the sample recording."""
    program = installed("chromium-headless-shell", *BROWSERS)
    speech = media.speech("microphone.wav", SECONDS, *WAV)
    fake = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={speech}",
    ]
    browser = playwright.chromium.launch(
        executable_path=program, args=[*FLAGS, *fake], timeout=WAIT_MS
    )
    yield browser
    browser.close()


class Recorder:
    """A signed-in profile with the page of the recorder."""

    def __init__(self, context: BrowserContext, stack: Stack, email: str) -> None:
        self.context = context
        self.pieces: list[bytes] = []  # captured from the microphone
        self.sockets: list[WebSocketRoute] = []
        self.is_away = False  # whether the server is unreachable
        self.is_silent = False  # whether the connection is dead without a notification
        context.expose_function("hear", lambda data: self.pieces.append(b64decode(data)))
        context.route_web_socket("**/api/live**", self._connect)
        self.page = context.new_page()
        self.page.on("dialog", lambda dialog: dialog.accept())  # confirm leaving the page
        register(self.page, stack, email)
        self.open()

    def open(self) -> None:
        """Open the page."""
        self.page.goto("/record/")
        self.prepare()

    def prepare(self) -> None:
        """Call this after the page was reloaded."""
        self.page.wait_for_selector("live-recorder:defined")
        self.page.evaluate(HEAR)

    def device(self) -> str:
        """The id of the microphone that is open; empty if none is."""
        return str(self.page.evaluate(DEVICE))

    def choose_last_microphone(self) -> str:
        """Choose another microphone while the sound is checked. Return its id."""
        devices = self.page.locator("#record-device")
        expect(devices.locator("option")).not_to_have_count(1)
        chosen = devices.locator("option").last.get_attribute("value") or ""
        assert chosen not in ("", self.device())
        devices.select_option(chosen)
        wait_until(lambda: self.device() == chosen)
        return chosen

    def start(self, title: str = "My walk") -> None:
        """Start recording, in English."""
        self.page.get_by_label("Title").fill(title)
        self.page.get_by_label("Language").select_option("en")
        self.page.get_by_role("button", name="Start recording").click()
        self.expect_state("recording")

    def expect_state(self, state: str) -> None:
        """Wait for a state of the page."""
        expect(self.page.locator("live-recorder")).to_have_attribute("data-state", state)

    def speak(self, seconds: float) -> None:
        """Wait until this many more seconds were captured."""
        end = len(self.heard) + seconds * BYTES_PER_S
        wait_until(lambda: self.page.evaluate("true") and len(self.heard) > end)

    def expect_words(self) -> None:
        """Wait for the spoken words, tentative or not."""
        expect(self.page.locator("recorded-text")).to_contain_text(SPOKEN)

    def cut(self) -> None:
        """Cut the connection, and refuse new ones."""
        self.is_away = True
        self.sockets[-1].close(code=4500)
        expect(self.page.locator("#connection-note")).to_contain_text(
            "Offline: recording continues"
        )

    def _connect(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        if self.is_away:
            socket.close(code=4500)
        else:
            server = socket.connect_to_server()
            server.on_message(lambda message: None if self.is_silent else socket.send(message))
            socket.on_message(lambda message: None if self.is_silent else server.send(message))

    def stop(self) -> None:
        """End the recording, and wait for its transcript."""
        self.page.get_by_role("button", name="Stop", exact=True).click()
        self.page.wait_for_url("**/transcriptions/*/")

    @property
    def heard(self) -> bytes:
        """All audio captured from the microphone, at 24 kHz."""
        return b"".join(self.pieces)

    def recorded(self) -> bytes:
        """The audio of the recording whose page is open."""
        url = f"/api/transcriptions/{self.page.url.split('/')[-2]}/audio"
        command = [ffmpeg_binary(), "-v", "error", "-i", "pipe:0", "-f", "s16le", "pipe:1"]
        flac = self.page.request.get(url).body()
        return subprocess.run(
            command, input=flac, capture_output=True, check=True, timeout=WAIT_S
        ).stdout

    def recordings(self) -> list[str]:
        """The titles of all recordings of this user."""
        items = self.page.request.get("/api/transcriptions").json()["items"]
        return [item["title"] for item in items]


def check_colors(page: Page, selector: str) -> None:
    """Final words have the color of text, and tentative ones another."""
    final, tentative, text = page.evaluate(COLORS, selector)
    assert final == text != tentative
