"""The player of a transcript: waveform, speed, loops, memory, and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from e2e.conftest import DESKTOP, WAIT_MS, OpenPage, register
from e2e.test_pages import start, wait_for_state
from transcodio_site.testing import ROOT, Media, Stack, wait_until

SLOW = 0.0625  # the slowest that Chromium plays: a second of speech takes 16
PLAYER = "document.querySelector('transcript-player')"
# Records the times that the player reports, and counts how often they go back.
RECORD = """() => {
  window.times = [];
  document.addEventListener("player-time", (event) => window.times.push(event.detail));
}"""
JUMPS = "times.filter((time, index) => time < times[index - 1] - 0.2).length"


@pytest.fixture(scope="module")
def recorded(chromium: Browser, stack: Stack, media: Media) -> Iterator[tuple[str, Any]]:
    """The path of a transcript of 12 seconds, and the cookies of its owner."""
    with chromium.new_context(base_url=stack.url) as context:
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        register(page, stack, "player@example.com")
        url = start(page, media.speech("harbor.mp3", 12))
        wait_for_state(page, "completed")
        yield url, context.cookies()


@pytest.fixture
def open_transcript(open_page: OpenPage, recorded: tuple[str, Any]) -> Callable[..., Page]:
    """A function that opens the transcript in a fresh profile."""
    url, cookies = recorded

    def open_one(size: tuple[int, int] = DESKTOP, script: str = "", **options: Any) -> Page:
        page = open_page(size, **options)
        page.context.add_cookies(cookies)
        if script:
            page.add_init_script(script)
        page.goto(url)
        expect(page.locator(".player-wave .canvases canvas").first).to_be_visible()
        return page

    return open_one


@pytest.fixture
def page(open_transcript: Callable[..., Page]) -> Page:
    return open_transcript()


def now(page: Page) -> float:
    seconds: float = page.evaluate(f"{PLAYER}.currentTime")
    return seconds


def is_playing(page: Page) -> bool:
    return page.evaluate(f"!{PLAYER}.paused") is True


def slow_down(page: Page) -> None:
    page.locator(".player-media").evaluate("(media, rate) => { media.playbackRate = rate; }", SLOW)


def seek(page: Page, seconds: float) -> None:
    page.evaluate(f"{PLAYER}.seek({seconds})")


def clock(page: Page) -> Locator:
    return page.locator(".player-time")


def point(page: Page, share: float) -> tuple[float, float]:
    """On the waveform, at this share of its width."""
    box = page.locator(".player-wave").bounding_box()
    assert box
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def select_on_waveform(page: Page, start: float, end: float) -> None:
    page.mouse.move(*point(page, start))
    page.mouse.down()
    page.mouse.move(*point(page, (start + end) / 2), steps=4)
    page.mouse.move(*point(page, end), steps=4)
    page.mouse.up()


# --- Time ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_click_before_the_first_play_moves_clock_and_segment(page: Page) -> None:
    expect(page.locator(".segment[aria-current]")).to_have_count(0)
    expect(clock(page)).to_have_text("0:00 / 0:12")
    last = page.locator(".segment").last
    middle = page.evaluate(
        "s => (Number(s.dataset.start) + Number(s.dataset.end)) / 2", last.element_handle()
    )
    page.mouse.click(*point(page, middle / 12))
    expect(last).to_have_attribute("aria-current", "true")
    expect(clock(page)).to_have_text(f"0:{int(middle):02} / 0:12")
    assert not is_playing(page)
    assert now(page) == pytest.approx(middle, abs=0.1)


def test_skips_by_the_chosen_step(page: Page) -> None:
    page.get_by_role("button", name="5 seconds forward").click()
    expect(clock(page)).to_have_text("0:05 / 0:12")
    page.keyboard.press("F8")
    assert now(page) == pytest.approx(10)
    page.keyboard.press("F2")
    page.keyboard.press("Alt+j")
    page.keyboard.press("Alt+l")
    assert now(page) == pytest.approx(5)
    page.keyboard.press("?")
    page.get_by_label("Skip back and forward by").select_option("2")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="2 seconds back").click()
    assert now(page) == pytest.approx(3)
    page.reload()
    expect(page.get_by_role("button", name="2 seconds back")).to_be_visible()


def test_speed_keeps_the_pitch_and_is_remembered(page: Page) -> None:
    media = page.locator(".player-media")
    speed = page.get_by_label("Playback speed")
    for chosen in ("0.5", "3"):
        speed.select_option(chosen)
        read = "media => [media.playbackRate, media.preservesPitch]"
        assert media.evaluate(read) == [float(chosen), True]
    page.keyboard.press("Alt+.")  # there is no faster one
    page.keyboard.press("Alt+,")
    expect(speed).to_have_value("2.5")
    page.reload()
    expect(speed).to_have_value("2.5")
    assert media.evaluate("media => media.playbackRate") == 2.5


@pytest.mark.slow
def test_position_is_remembered_for_each_recording(page: Page) -> None:
    seek(page, 6.5)
    page.reload()
    expect(clock(page)).to_have_text("0:00 / 0:12")  # it was not played
    slow_down(page)
    seek(page, 6.5)
    page.click(".player-play")
    wait_until(lambda: now(page) > 6.5)
    page.reload()
    expect(clock(page)).to_have_text("0:06 / 0:12")
    expect(page.locator(".segment[aria-current]")).to_have_count(1)
    stored = page.evaluate("JSON.parse(localStorage.getItem('player-positions'))")
    assert len(stored) == 1
    many = {str(number): 1.5 for number in range(300)} | stored
    page.evaluate("all => localStorage.setItem('player-positions', JSON.stringify(all))", many)
    seek(page, 11.8)
    page.click(".player-play")
    wait_until(lambda: not is_playing(page))
    stored = page.evaluate("JSON.parse(localStorage.getItem('player-positions'))")
    assert [*stored] == [str(number) for number in range(100, 300)]  # played to the end
    page.reload()
    expect(clock(page)).to_have_text("0:00 / 0:12")


@pytest.mark.covers("fault", "The player's data in the browser is damaged")
def test_damaged_memory_is_ignored(open_transcript: Callable[..., Page]) -> None:
    page = open_transcript(
        script="""
      localStorage.setItem("player-settings", '{"speed": "x", "step": -1, "video": 3}');
      localStorage.setItem("player-positions", '[1');
      localStorage.setItem("shortcuts", '{"back": "F2", "forward": [1], "loop": null}');
    """
    )
    expect(page.get_by_label("Playback speed")).to_have_value("1")
    page.keyboard.press("F8")
    assert now(page) == pytest.approx(5)
    page.keyboard.press("F2")
    assert now(page) == 0


@pytest.mark.slow
def test_pause_goes_back_a_little(page: Page) -> None:
    for chosen, expected in ((None, 4.0), ("0", 5.0), ("3", 2.0)):
        if chosen:
            page.keyboard.press("?")
            page.get_by_label("Go back when paused").select_option(chosen)
            page.keyboard.press("Escape")
        slow_down(page)
        seek(page, 5)
        page.keyboard.press("F4")
        wait_until(lambda: now(page) > 5.01)
        page.keyboard.press("F4")
        assert not is_playing(page)
        assert expected < now(page) < expected + 0.9


# --- Waveform -----------------------------------------------------------------------------------


def test_zoom_shows_more_detail(page: Page) -> None:
    width = f"{PLAYER}.controls.waveform.surfer.getWrapper().clientWidth"
    whole = page.evaluate(width)
    zoom_out = page.get_by_role("button", name="Zoom out")
    expect(zoom_out).to_be_disabled()
    seek(page, 6)
    with page.expect_response("**/waveform?points=*") as more:
        page.get_by_role("button", name="Zoom in").click()
    assert len(more.value.json()["rms"]) == 600  # all points of 12 seconds
    assert page.evaluate(width) > 1.5 * whole
    expect(page.get_by_role("button", name="Zoom in")).to_be_disabled()
    zoom_out.click()
    assert page.evaluate(width) == whole
    page.mouse.move(*point(page, 0.5))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    wait_until(lambda: page.evaluate(width) > 1.5 * whole)
    assert page.evaluate("visualViewport.scale") == 1
    page.keyboard.press("Alt+-")
    assert page.evaluate(width) == whole


@pytest.mark.slow
def test_part_selected_on_the_waveform_is_repeated(page: Page) -> None:
    region = page.locator(".player-wave [part~=region]")
    loop = page.get_by_role("button", name="Repeat a part")
    select_on_waveform(page, 0.25, 0.35)
    expect(region).to_be_visible()
    expect(loop).to_have_attribute("aria-pressed", "true")
    expect(page.locator("transcript-player [role=status]")).to_have_text("Repeating 0:03 to 0:04")
    page.evaluate(RECORD)
    seek(page, 3.5)
    page.keyboard.press("F4")
    wait_until(lambda: page.evaluate(JUMPS) >= 2)
    page.keyboard.press("F4")
    times = page.evaluate("times")
    assert min(times) == pytest.approx(3, abs=0.1)  # also after the pause
    assert max(times) < 4.2 + 1  # one frame after the end, even on a busy machine
    loop.click()
    expect(region).to_have_count(0)
    expect(loop).to_have_attribute("aria-pressed", "false")


def test_loop_is_set_by_its_start_and_end(page: Page) -> None:
    loop = page.get_by_role("button", name="Repeat a part")
    seek(page, 2)
    page.keyboard.press("Alt+r")
    expect(page.locator(".player-wave [part~=marker]")).to_be_visible()
    seek(page, 4)
    page.keyboard.press("Alt+r")
    expect(page.locator(".player-wave [part~=region]")).to_be_visible()
    expect(loop).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Alt+r")
    expect(page.locator(".player-wave [part~=region]")).to_have_count(0)


def test_selected_text_is_repeated(page: Page) -> None:
    slow_down(page)
    segment = page.locator("[data-segment='2']")
    segment.select_text()
    page.keyboard.press("Alt+r")
    wait_until(lambda: is_playing(page))
    start = float(segment.get_attribute("data-start") or 0)
    assert start <= now(page) < start + 1
    expect(page.locator(".player-wave [part~=region]")).to_be_visible()


def test_range_is_played_once(page: Page) -> None:
    slow_down(page)
    assert page.evaluate(f"{PLAYER}.playRange(2, 2.1); !{PLAYER}.paused")
    wait_until(lambda: not is_playing(page))
    assert 2.1 <= now(page) < 4


# --- Keys ---------------------------------------------------------------------------------------


def test_space_plays_outside_of_text_only(page: Page) -> None:
    slow_down(page)
    page.evaluate(f"{PLAYER}.seek(3); {PLAYER}.play()")
    page.locator("h1").evaluate("heading => heading.blur()")
    start = now(page)
    wait_until(lambda: now(page) > start + 0.02)
    page.keyboard.press("Space")
    assert not is_playing(page)
    page.keyboard.press("Space")
    assert is_playing(page)
    assert now(page) < start  # the segment did not start again
    assert page.evaluate("window.scrollY") == 0
    page.get_by_role("button", name="Export").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("dialog", name="Export")).to_be_visible()
    page.keyboard.press("Escape")
    assert is_playing(page)


def test_keys_work_while_typing(page: Page) -> None:
    slow_down(page)
    page.locator("[data-preference='play-on-click']").evaluate("box => box.click()")
    text = page.locator("[data-segment='1']")
    text.click()
    before = text.inner_text()
    page.keyboard.press("F4")
    assert is_playing(page)
    page.keyboard.press("Alt+k")
    assert not is_playing(page)
    page.keyboard.press("F8")
    page.keyboard.press("?")
    page.keyboard.press("Space")
    assert not is_playing(page)
    expect(page.get_by_role("dialog", name="Playback and shortcuts")).to_be_hidden()
    assert len(text.text_content() or "") == len(before) + 2
    expect(page.locator("#segments")).to_be_focused()


def test_timestamps_are_no_tab_stops(page: Page) -> None:
    page.focus("transcript-player [data-shortcuts]")
    page.keyboard.press("Tab")
    expect(page.locator("#segments")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("!document.activeElement.closest('#segments')")


def shortcuts(page: Page) -> Locator:
    dialog = page.get_by_role("dialog", name="Playback and shortcuts")
    if not dialog.is_visible():
        page.keyboard.press("?")
    expect(dialog).to_be_visible()
    return dialog


def press_pedal(page: Page) -> None:
    """F13, which Playwright cannot press."""
    page.evaluate("""document.activeElement.dispatchEvent(
      new KeyboardEvent("keydown", { key: "F13", code: "F13", bubbles: true, cancelable: true })
    )""")


@pytest.mark.slow
def test_keys_can_be_changed(page: Page) -> None:
    dialog = shortcuts(page)
    message = dialog.get_by_role("status")
    add = dialog.get_by_role("button", name="Add a key to “Play or pause”")
    add.click()
    page.keyboard.press("Shift")  # is only held
    page.keyboard.press("Enter")
    expect(message).to_have_text("Enter is needed on this page. Press another key.")
    press_pedal(page)
    expect(message).to_have_text("F13 now runs “Play or pause”.")
    expect(add).to_be_focused()
    add.press("Enter")
    page.keyboard.press("F2")
    expect(message).to_contain_text("F2 runs “Back”.")
    page.keyboard.press("F2")
    back = dialog.locator("[data-command=back]")
    expect(back.locator(".key")).to_have_text(["Alt+J"])
    dialog.get_by_role("button", name="Remove F4 from “Play or pause”").click()
    add.click()
    page.keyboard.press("Escape")  # changes nothing
    expect(dialog).to_be_visible()
    expected = ["Alt+K", "Space", "F13", "F2"]
    expect(dialog.locator("[data-command=play-pause] .key")).to_have_text(expected)

    page.reload()
    expect(clock(page)).to_be_visible()
    slow_down(page)
    press_pedal(page)
    assert is_playing(page)
    page.keyboard.press("F4")
    assert is_playing(page)
    page.keyboard.press("F2")
    assert not is_playing(page)
    dialog = shortcuts(page)
    dialog.get_by_role("button", name="Reset keys").click()
    expect(dialog.locator("[data-command=play-pause] .key")).to_have_text(["F4", "Alt+K", "Space"])
    expect(dialog.locator("[data-command=back] .key")).to_have_text(["F2", "Alt+J"])


def test_documents_list_the_keys(page: Page) -> None:
    rows = shortcuts(page).locator("tbody tr")
    shown = [
        (row.locator("th").inner_text(), ", ".join(row.locator(".key").all_inner_texts()))
        for row in rows.all()
    ]
    section = (ROOT / "docs" / "using-transcodio.md").read_text().split("| Action | Keys |")[1]
    table = section.split("\n\n")[0].splitlines()[2:]
    listed = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in table]
    assert sorted(shown) == sorted(listed)
