"""Keys between caret and playback, and the player's tools on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import DESKTOP, PHONE, OpenPage
from e2e.recognized import Recognized
from e2e.test_editing import caret
from e2e.test_pages import SLOW, open_menu
from e2e.test_transcript import current_time, heard, is_paused
from transcodio_site.testing import wait_until

LOOP = """() => {
  const { start, end } = document.querySelector("transcript-player").loop;
  return [start, end];
}"""
MARK_UNCERTAIN = """async (marked) => {
  const { segments } = await import("/static/js/transcript-text.js");
  for (const { words } of segments) words.low = [];
  for (const [id, ...low] of marked) segments[id - 1].words.low = low;
}"""
WAVEFORM = "document.querySelector('transcript-player').controls.waveform"
WIDTH = f"{WAVEFORM}.surfer.getWrapper().clientWidth"
SIZES = [pytest.param(PHONE, id="phone"), pytest.param((320, 640), id="narrow")]


def open_one(
    sign_up: OpenPage, recognized: Recognized, email: str, size: tuple[int, int] = DESKTOP
) -> tuple[Page, list[dict[str, Any]]]:
    """Opens a transcript of the user: the page and the segments."""
    page = sign_up(email, size)
    segments = heard(page, recognized)
    page.locator(".player-media").evaluate(SLOW)
    return page, segments


def offset(segment: dict[str, Any], index: int) -> int:
    """Of a word in the text of its segment."""
    position = 0
    for word in segment["words"][: index + 1]:
        position = segment["text"].index(word["text"], position)
    return position


def test_selected_words_are_repeated(sign_up: OpenPage, recognized: Recognized) -> None:
    page, segments = open_one(sign_up, recognized, "repeat-words@example.com")
    first, last = segments[1]["words"][1:3]
    begin = offset(segments[1], 1)
    caret(page, 2, begin, offset(segments[1], 2) + len(last["text"]) - begin)
    page.keyboard.press("Alt+r")
    wait_until(lambda: not is_paused(page))
    start, end = page.evaluate(LOOP)
    assert (start, end) == pytest.approx((first["start"], last["end"]), abs=0.002)
    assert segments[1]["start"] < start < end < segments[1]["end"]
    assert start <= current_time(page) + 0.01 < end
    page.keyboard.press("Alt+r")
    assert page.evaluate(LOOP) == [None, None]


def test_keys_bring_caret_and_playback_together(sign_up: OpenPage, recognized: Recognized) -> None:
    page, segments = open_one(sign_up, recognized, "caret-keys@example.com")
    word = segments[1]["words"][2]
    caret(page, 2, offset(segments[1], 2) + 1)
    page.keyboard.press("Alt+Enter")
    wait_until(lambda: not is_paused(page))
    assert word["start"] - 0.01 <= current_time(page) < word["end"] + 0.2
    assert len(page.locator(".segment").all()) == len(segments)  # no paragraph was begun
    page.keyboard.press("F4")
    page.locator("transcript-player").evaluate("(player, time) => player.seek(time)", word["start"])
    caret(page, 1, 0)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Alt+w")
    expect(page.locator("#segments")).to_be_focused()
    place = "() => [getSelection().focusNode.data, getSelection().focusOffset]"
    wait_until(lambda: page.evaluate(place) == [segments[1]["text"], offset(segments[1], 2)])


def test_key_selects_previous_uncertain_word(sign_up: OpenPage, recognized: Recognized) -> None:
    page, segments = open_one(sign_up, recognized, "previous-uncertain@example.com")
    page.evaluate(MARK_UNCERTAIN, [[1, 0], [2, 1, 2]])
    words = [segments[at]["words"][index]["text"] for at, index in ((0, 0), (1, 1), (1, 2))]
    caret(page, 2, -1)
    for expected in (words[2], words[1], words[0], words[2]):
        page.keyboard.press("Alt+Shift+U")
        assert page.evaluate("String(getSelection())") == expected
    page.keyboard.press("Alt+u")
    assert page.evaluate("String(getSelection())") == words[0]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_phone_has_playback_settings_and_zoom_in_menu(
    sign_up: OpenPage, recognized: Recognized, size: tuple[int, int]
) -> None:
    page, _ = open_one(sign_up, recognized, "phone-menu@example.com", size)
    open_menu(page)
    group = page.get_by_role("group", name="Zoom the waveform")
    whole = page.evaluate(WIDTH)
    group.get_by_role("button", name="Zoom in").click()
    wait_until(lambda: page.evaluate(WIDTH) > 1.5 * whole)
    group.get_by_role("button", name="Zoom out").click()
    wait_until(lambda: page.evaluate(WIDTH) == whole)
    page.get_by_role("button", name="Playback and shortcuts").click()
    dialog = page.get_by_role("dialog", name="Playback and shortcuts")
    dialog.get_by_label("Skip back and forward by").select_option("10")
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator("#more-menu")).to_be_hidden()
    expect(page.get_by_role("button", name="10 seconds back")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
