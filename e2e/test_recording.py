"""Recording speech in the browser: a microphone that plays a file, and the real speech engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psutil
import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from e2e.axe import Axe
from e2e.conftest import OpenContext, register
from e2e.recorder import SPOKEN, Recorder, browser_with_microphone, check_colors
from e2e.test_offline import NOTHING, sign_out, stored
from e2e.test_pages import assert_complete, wait_for_state
from transcodio_site.testing import Media, Stack, wait_until

OpenRecorder = Callable[[str], Recorder]
# Tones instead of the real sound of a shared tab and of the microphone.
TONES = """() => {
  const tone = (frequency) => async () => {
    const context = new AudioContext();
    const oscillator = new OscillatorNode(context, { frequency });
    const destination = context.createMediaStreamDestination();
    oscillator.connect(new GainNode(context, { gain: 0.3 })).connect(destination);
    oscillator.start();
    return destination.stream;
  };
  navigator.mediaDevices.getUserMedia = tone(440);
  navigator.mediaDevices.getDisplayMedia = tone(1250);
}"""
REFUSE = """(name) => {
  navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", name); };
}"""
# As if eleven minutes had been recorded, the most that is kept in memory.
FILL_MEMORY = """() => {
  const { audio } = document.querySelector("live-recorder").recording;
  Object.defineProperty(audio, "isFull", { value: true, configurable: true });
}"""
FREE_MEMORY = """() => delete document.querySelector("live-recorder").recording.audio.isFull"""
# The loudness of two tones after resampling from 48 kHz to 24 kHz, relative to before.
RESAMPLE = """async () => {
  const { Resampler } = await import("/static/js/resampler.js");
  const loudness = (all) => Math.sqrt(all.reduce((sum, x) => sum + x * x, 0) / all.length);
  return [1000, 15000].map((frequency) => {
    const resampler = new Resampler(48000, 24000);
    const step = 2 * Math.PI * frequency / 48000;
    const tone = Float32Array.from({ length: 48000 }, (_, n) => Math.sin(step * n));
    const parts = [];
    for (let at = 0; at < tone.length; at += 128)
      parts.push(...resampler.process(tone.subarray(at, at + 128)));
    return [parts.length, loudness(parts.slice(1000)) / loudness(tone)];
  });
}"""


@pytest.fixture(scope="module")
def chromium(playwright: Playwright, media: Media) -> Iterator[Browser]:
    with browser_with_microphone(playwright, media) as browser:
        yield browser


@pytest.fixture
def open_recorder(open_context: OpenContext, stack: Stack) -> OpenRecorder:
    """A function that signs up a user, who then sees the recorder."""

    def open_one(email: str) -> Recorder:
        return Recorder(open_context(permissions=["microphone"]), stack, email)

    return open_one


def test_words_appear_while_recording(open_recorder: OpenRecorder) -> None:
    recorder = open_recorder("speaker@example.com")
    page = recorder.page
    page.get_by_role("button", name="Check the sound").click()
    wait_until(lambda: page.locator("form meter").evaluate("meter => meter.value") > 0.2)
    chosen = recorder.choose_last_microphone()
    recorder.start()
    assert recorder.device() == chosen
    recorder.expect_words()
    check_colors(page, "#partial")
    page.get_by_role("button", name="Pause").click()
    recorder.expect_state("paused")
    paused = page.inner_text("[data-time]")
    expect(page.locator(".segment").first).to_be_visible()  # all of it is recognized now
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("[data-time]")).not_to_have_text(paused)
    recorder.stop()
    wait_for_state(page, "completed")
    expect(page.locator("h1")).to_have_text("My walk")
    assert_complete(page)
    assert SPOKEN in page.inner_text("#segments")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert recorder.recorded() == recorder.heard
    assert stored(page)["recordings"] == stored(page)["pieces"] == []


@pytest.mark.slow
def test_live_recording_is_followed_and_stopped_elsewhere(open_recorder: OpenRecorder) -> None:
    recorder = open_recorder("elsewhere-live@example.com")
    recorder.start()
    recorder.expect_words()  # there is a recording
    other = recorder.context.new_page()
    other.goto("/")
    expect(other.locator(".badge")).to_have_text("Live")
    expect(other.locator(".recording-queue")).to_have_text("")
    other.get_by_role("link", name="My walk").click()
    expect(other.locator("#status")).to_have_text("Live")
    expect(other.locator("#partial, #segments").get_by_text(SPOKEN).first).to_be_visible()
    for name in ("Play", "Transcribe again", "Export"):
        expect(other.get_by_role("button", name=name, exact=True)).to_be_hidden()
    check_captions_are_shared_and_withdrawn(other)
    recorder.page.get_by_role("button", name="Pause").click()
    expect(other.locator("#status")).to_have_text("Live: paused")
    other.get_by_role("button", name="Stop recording").click()
    wait_for_state(other, "completed")
    expect(other.get_by_role("button", name="Play", exact=True)).to_be_visible()
    recorder.page.wait_for_url("**/transcriptions/*/")
    assert recorder.recorded() == recorder.heard
    expect(other.get_by_role("button", name="Share live captions")).to_have_count(0)


def check_captions_are_shared_and_withdrawn(page: Page) -> None:
    """On the page of a live recording."""
    page.get_by_role("button", name="Share live captions").click()
    page.get_by_role("button", name="Create a link").click()
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    link = page.get_by_label("Link").input_value()
    assert page.request.get(link).status == 200
    page.reload()
    page.get_by_role("button", name="Share live captions").click()
    expect(page.get_by_label("Link")).to_have_value(link)
    page.get_by_role("button", name="Stop sharing").click()
    expect(page.get_by_role("button", name="Create a link")).to_be_visible()
    assert page.request.get(link).status == 404
    page.get_by_role("button", name="Close").click()


@pytest.mark.slow
@pytest.mark.covers("fault", "The connection is lost while someone records in the browser")
def test_lost_connection_loses_nothing(open_recorder: OpenRecorder) -> None:
    recorder = open_recorder("tunnel-live@example.com")
    recorder.start()
    recorder.expect_words()
    recorder.cut()
    recorder.speak(4)
    wait_until(lambda: stored(recorder.page)["pieces"])
    recorder.is_away = False
    expect(recorder.page.locator("#connection-note")).to_be_hidden()
    recorder.stop()
    wait_for_state(recorder.page, "completed")
    assert recorder.recorded() == recorder.heard


@pytest.mark.slow
@pytest.mark.covers("fault", "The connection dies silently while someone records")
def test_silent_connection_is_given_up(open_recorder: OpenRecorder) -> None:
    recorder = open_recorder("silent-live@example.com")
    recorder.page.clock.install()
    recorder.open()
    recorder.start()
    recorder.expect_words()
    recorder.is_silent = True
    recorder.speak(1)
    recorder.page.clock.fast_forward(11_000)  # the longest silence is 10 s
    wait_until(lambda: recorder.page.evaluate("true") and len(recorder.sockets) == 2)
    recorder.is_silent = False
    recorder.speak(1)
    recorder.stop()
    wait_for_state(recorder.page, "completed")
    assert recorder.recorded() == recorder.heard


@pytest.mark.slow
@pytest.mark.covers("fault", "A browser without space records while the server is unreachable")
def test_browser_without_space_says_so_and_loses_nothing(open_recorder: OpenRecorder) -> None:
    recorder = open_recorder("full-live@example.com")
    page = recorder.page
    recorder.start()
    recorder.expect_words()
    protocol = recorder.context.new_cdp_session(page)
    quota = {"origin": page.url.removesuffix("/record/")}
    protocol.send("Storage.overrideQuotaForOrigin", quota | {"quotaSize": 1})
    recorder.cut()
    recorder.speak(2)
    note = page.locator("#connection-note")
    expect(note).to_contain_text("Keep this page open")
    page.evaluate(FILL_MEMORY)
    expect(page.get_by_role("alert")).to_contain_text("Paused: this browser has no space left")
    recorder.expect_state("paused")
    page.evaluate(FREE_MEMORY)
    recorder.is_away = False
    expect(note).to_be_hidden()
    page.get_by_role("button", name="Resume").click()
    recorder.expect_state("recording")
    recorder.speak(1)
    recorder.stop()
    wait_for_state(page, "completed")
    assert recorder.recorded() == recorder.heard


@pytest.mark.slow
@pytest.mark.covers("fault", "The web server is killed while someone records in the browser")
def test_restarted_server_loses_nothing(open_recorder: OpenRecorder, stack: Stack) -> None:
    recorder = open_recorder("restart-live@example.com")
    recorder.start()
    recorder.expect_words()
    assert stack.process
    children = psutil.Process(stack.process.pid).children()
    next(c for c in children if "transcodio_site.server" in " ".join(c.cmdline())).kill()
    note = recorder.page.locator("#connection-note")
    expect(note).to_be_visible()
    expect(note).to_be_hidden()
    recorder.speak(1)
    recorder.stop()
    wait_for_state(recorder.page, "completed")
    assert recorder.recorded() == recorder.heard


@pytest.mark.covers("fault", "A page is reloaded while it records and the server is down")
@pytest.mark.slow
@pytest.mark.parametrize("is_away", [True, False])
def test_reloaded_page_goes_on(open_recorder: OpenRecorder, is_away: bool) -> None:
    recorder = open_recorder("reload-live@example.com")
    page = recorder.page
    recorder.start()
    recorder.expect_words()
    if is_away:
        recorder.cut()
        recorder.speak(3)
    page.get_by_role("button", name="Pause").click()
    recorder.expect_state("paused")
    page.goto("/")
    recorder.is_away = False
    expect(page.locator("[data-about]")).to_contain_text("My walk")
    page.get_by_role("button", name="Continue").click()
    recorder.prepare()
    page.get_by_role("button", name="Continue").click()
    recorder.expect_state("recording")
    recorder.expect_words()
    recorder.speak(1)
    recorder.stop()
    wait_for_state(page, "completed")
    assert recorder.recordings() == ["My walk"]
    assert recorder.recorded() == recorder.heard


@pytest.mark.slow
@pytest.mark.covers("fault", "The tab that records is closed before the server has its audio")
def test_interrupted_recording_is_finished_in_the_library(open_recorder: OpenRecorder) -> None:
    recorder = open_recorder("closed-live@example.com")
    recorder.start()
    recorder.expect_words()
    recorder.cut()
    recorder.speak(3)
    wait_until(lambda: stored(recorder.page)["pieces"])
    recorder.page.close()
    recorder.is_away = False
    recorder.page = page = recorder.context.new_page()
    page.goto("/")
    page.get_by_role("button", name="Finish").click()
    page.get_by_role("link", name="Open the transcript").click()
    wait_for_state(page, "completed")
    recorded, heard = recorder.recorded(), recorder.heard
    # The last second was not stored when the tab was closed, or it is not known here.
    assert len(recorded) == pytest.approx(len(heard), abs=2 * 48_000)
    common = min(len(recorded), len(heard))
    assert recorded[:common] == heard[:common]
    wait_until(lambda: stored(page)["recordings"] == stored(page)["pieces"] == [])


@pytest.mark.slow
@pytest.mark.covers(
    "attack", "The next user of a browser looks for a recording that was interrupted"
)
def test_sign_out_erases_interrupted_recordings(open_recorder: OpenRecorder, stack: Stack) -> None:
    recorder = open_recorder("library-computer@example.com")
    page = recorder.page
    recorder.start()
    recorder.cut()
    recorder.speak(2)
    page.goto("/")
    expect(page.locator("[data-about]")).to_be_visible()
    assert stored(page)["pieces"]
    sign_out(page)
    wait_until(lambda: stored(page) == NOTHING)
    register(page, stack, "next-live@example.com")
    page.wait_for_selector("interrupted-recordings:defined", state="attached")
    assert stored(page)["recordings"] == []
    expect(page.locator("[data-about]")).to_have_count(0)


@pytest.mark.slow
def test_captions_are_read_by_everybody_until_they_are_switched_off(
    open_recorder: OpenRecorder, open_context: OpenContext
) -> None:
    recorder = open_recorder("hall@example.com")
    page = recorder.page
    recorder.start("Town hall")
    page.get_by_role("button", name="Share live captions").click()
    page.get_by_role("button", name="Create a link").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("share-captions [role=status]")).to_have_text("Copied.")
    link = page.get_by_label("Link").input_value()
    reader = open_context().new_page()
    reader.goto(link)
    expect(reader.locator("h1")).to_have_text("Town hall")
    expect(reader.locator("main")).to_contain_text(SPOKEN)
    check_colors(reader, "[data-partial]")
    assert reader.context.cookies() == []
    size = "getComputedStyle(document.querySelector('main')).fontSize"
    before = reader.evaluate(size)
    reader.get_by_role("button", name="Larger text").click()
    assert reader.evaluate(size) > before
    axe = Axe(reader)
    axe.check("captions")
    page.get_by_role("button", name="Stop sharing").click()
    expect(reader.get_by_text("The captions have ended.")).to_be_visible()
    response = reader.reload()
    assert response
    assert response.status == 404
    expect(reader.locator("main")).to_contain_text("no longer shared")
    axe.check("captions that are over")
    page.get_by_role("button", name="Close").click()
    recorder.stop()
    axe.report()


@pytest.mark.slow
def test_recorder_is_accessible_in_all_its_states(open_recorder: OpenRecorder) -> None:
    recorder = open_recorder("axe-live@example.com")
    axe = Axe(recorder.page)
    axe.check("recorder")
    recorder.start()
    recorder.expect_words()
    axe.check("recording")
    recorder.cut()
    axe.check("offline")
    recorder.page.get_by_role("button", name="Share live captions").click()
    axe.check("share")
    recorder.page.get_by_role("button", name="Close").click()
    recorder.page.get_by_role("button", name="Pause").click()
    recorder.expect_state("paused")
    recorder.page.goto("/record/")
    expect(recorder.page.locator("[data-about]")).to_be_visible()
    axe.check("interrupted")
    axe.report()


@pytest.mark.slow
def test_microphone_and_shared_sound_are_mixed(open_recorder: OpenRecorder) -> None:
    import numpy as np

    recorder = open_recorder("mixed@example.com")
    recorder.page.evaluate(TONES)
    recorder.page.get_by_label("Both").check()
    recorder.start()
    recorder.speak(2)
    samples = np.frombuffer(recorder.heard[48_000 : 2 * 48_000], "<i2") / 32_768
    spectrum = np.abs(np.fft.rfft(samples)) / len(samples) * 2
    assert spectrum[[440, 1250]] == pytest.approx(0.3, abs=0.05)
    recorder.page.get_by_role("button", name="Stop", exact=True).click()
    recorder.page.wait_for_url("**/transcriptions/*/")


def test_rate_is_changed_without_other_tones(open_recorder: OpenRecorder) -> None:
    (length, kept), (_, removed) = open_recorder("rate@example.com").page.evaluate(RESAMPLE)
    assert length == pytest.approx(24_000, abs=50)
    assert kept == pytest.approx(1, abs=0.01)
    assert removed < 0.001


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "explanation"),
    [
        ("NotAllowedError", "does not allow this page to use the microphone"),
        ("NotFoundError", "No microphone was found"),
        ("NotReadableError", "If another program is using it"),
    ],
)
def test_microphone_that_cannot_be_used_is_explained(
    open_recorder: OpenRecorder, name: str, explanation: str
) -> None:
    page = open_recorder(f"{name.lower()}@example.com").page
    page.evaluate(REFUSE, name)
    page.get_by_role("button", name="Start recording").click()
    expect(page.get_by_role("alert")).to_contain_text(explanation)
    expect(page.locator("live-recorder")).to_have_attribute("data-state", "idle")


def test_page_that_is_not_secure_says_so(open_recorder: OpenRecorder) -> None:
    recorder = open_recorder("insecure@example.com")
    recorder.context.add_init_script("delete Navigator.prototype.mediaDevices")
    recorder.page.goto("/record/")
    expect(recorder.page.get_by_role("alert")).to_contain_text(
        "Browsers can record only on HTTPS pages"
    )
