"""The player outside of its controls: media keys, and the video with its captions."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from e2e.conftest import PHONE, OpenPage
from e2e.recognized import Recognized
from e2e.test_pages import start, wait_for_state
from e2e.test_player import is_playing, now, seek, slow_down
from transcodio_site.testing import Media, wait_until

WIDE = (1440, 900)
MEDIA_KEYS = """
window.mediaKeys = {};
navigator.mediaSession.setActionHandler = (name, handler) => { window.mediaKeys[name] = handler; };
"""


def top(element: Locator) -> float:
    box = element.bounding_box()
    assert box
    return box["y"]


def bottom(element: Locator) -> float:
    box = element.bounding_box()
    assert box
    return box["y"] + box["height"]


@pytest.mark.slow
def test_video_is_shown_with_captions(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("film@example.com", WIDE)
    picture = ("-f", "lavfi", "-i", "testsrc=s=160x90:r=10", "-t", "5", "-c:v", "libvpx")
    start(page, media.speech("film.webm", None, *picture))
    wait_for_state(page, "completed")
    page.reload()
    video = page.locator("video.player-media")
    expect(video).to_be_visible()
    cues = "video => [...(video.textTracks[0]?.cues ?? [])].map((cue) => cue.text)"
    wait_until(lambda: video.evaluate(cues))
    text = page.locator(".segment").all_inner_texts()
    assert " ".join(video.evaluate(cues)).split() == " ".join(text).split()
    assert video.evaluate("video => video.textTracks[0].mode") == "showing"
    side, words = video.bounding_box(), page.locator("#segments").bounding_box()
    assert side
    assert words
    assert side["x"] >= words["x"] + words["width"]
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    expect(video).to_be_in_viewport(ratio=1)
    wait_until(lambda: bottom(video) <= top(page.locator(".player")))
    video.click()
    wait_until(lambda: now(page) > 0.3)
    toggle = page.get_by_role("button", name="Show the video")
    expect(toggle).to_have_attribute("aria-pressed", "true")
    toggle.click()
    expect(video).to_be_hidden()
    assert is_playing(page)
    page.reload()
    expect(toggle).to_have_attribute("aria-pressed", "false")
    expect(video).to_be_hidden()
    activity = page.request.get("/settings/activity/").text()
    assert "Recording added" in activity
    assert "Transcript exported" not in activity  # the captions


@pytest.mark.slow
def test_sound_alone_has_no_video(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("sound-of@example.com")
    start(page, media.speech("sound.webm", 3))
    wait_for_state(page, "completed")
    video = page.locator("video.player-media")
    wait_until(lambda: video.evaluate("video => video.readyState") > 0)
    expect(video).to_be_hidden()
    expect(page.get_by_role("button", name="Show the video")).to_have_count(0)
    page.click(".player-play")
    wait_until(lambda: now(page) > 0.3)


@pytest.mark.slow
def test_media_keys_and_headsets(sign_up: OpenPage, recognized: Recognized) -> None:
    page = sign_up("headset@example.com")
    page.add_init_script(MEDIA_KEYS)
    recognized(page)
    expect(page.locator(".player-wave .canvases canvas").first).to_be_visible()
    slow_down(page)
    assert page.evaluate("navigator.mediaSession.metadata.title") == "harbor"
    page.evaluate("mediaKeys.play()")
    assert is_playing(page)
    page.evaluate("mediaKeys.pause()")
    assert not is_playing(page)
    page.evaluate("mediaKeys.seekto({ seekTime: 3 })")
    page.evaluate("mediaKeys.seekforward({ seekOffset: 4 })")
    assert now(page) == pytest.approx(7)
    page.evaluate("mediaKeys.seekbackward({})")
    assert now(page) == pytest.approx(2)
    starts = page.eval_on_selector_all(".segment", "all => all.map((s) => Number(s.dataset.start))")
    seek(page, starts[1])
    page.evaluate("mediaKeys.nexttrack()")
    assert now(page) == pytest.approx(starts[2])
    page.evaluate("mediaKeys.previoustrack()")
    assert now(page) == pytest.approx(starts[1])
