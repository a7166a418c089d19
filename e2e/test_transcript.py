"""Reading a transcript: paragraphs, the bar, the word being played, and passages."""

from __future__ import annotations

import random
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import DESKTOP, PHONE, OpenPage
from e2e.recognized import Recognized
from e2e.test_pages import SLOW, open_menu, start, stored, wait_for_state
from e2e.test_speakers import open_talk
from transcodio_site.testing import Media, Stack, wait_until
from transcriptions.library.paragraphs import paragraphs
from transcriptions.models import Segment, Speaker

# The text at which a mark is drawn.
MARKED = """name => [...(CSS.highlights.get(name) ?? [])].map((range) => range.toString())"""
# The middle of the word with this index, in the viewport.
PLACE_OF_WORD = """async ([segment, index]) => {
  const text = await import("/static/js/transcript-text.js");
  const { from, to } = text.wordOf(text.segments[segment - 1], index);
  const { x, y, width, height } =
    text.rangeOf(text.segments[segment - 1], from, to).getBoundingClientRect();
  return [Math.round(x + width / 2), Math.round(y + height / 2)];
}"""
TIMES_ARE_KNOWN = """async () => {
  const { segments } = await import("/static/js/transcript-text.js");
  return segments.every(({ words }) => words);
}"""
CHANGE_TEXT = """async ([from, to, segments]) => {
  const text = await import("/static/js/transcript-text.js");
  text.replace(from, to, segments);
}"""
PARAGRAPHS = """all => all.map((each) => [
  each.querySelector(".turn-speaker")?.textContent ?? "",
  each.querySelector(".timestamp").textContent,
  each.querySelector(".paragraph-text").textContent,
])"""
MARK_UNCERTAIN = """
from transcriptions.models import Segment
for segment in Segment.objects.filter(transcription="{id}"):
    segment.words[-1]["probability"] = 0.2
    segment.save()
"""
# Texts of scripts with and without spaces, and characters that JavaScript counts twice.
TEXTS = (
    *("A few words.", "“Quoted?”", "你好\u3001世界。", "「はい」", "𠮷野家", "😀 ", "สวัสดี", "Ürün"),
    "x" * 90,
)
DIVIDE = """async (segments) => {
  const { divided, separator } = await import("/static/js/paragraphs.js");
  return [...divided(segments)].map((list) => [list.map(({ text }, index) =>
    (index ? separator(list[index - 1].text, text) : "") + text).join(""), list[0].start]);
}"""
# Whether the middle of the focused element is not covered by a bar.
IS_UNCOVERED = """() => {
  const { left, top, width, height } = document.activeElement.getBoundingClientRect();
  const found = document.elementFromPoint(left + width / 2, top + height / 2);
  return document.activeElement.contains(found);
}"""


def heard(page: Page, recognized: Recognized) -> list[dict[str, Any]]:
    """Opens a transcript whose words have times: its segments."""
    recognized(page)
    wait_for_times(page)
    segments: list[dict[str, Any]] = stored(page)["segments"]
    return segments


def wait_for_times(page: Page) -> None:
    wait_until(lambda: page.evaluate(TIMES_ARE_KNOWN))


def click_word(page: Page, segment: int, index: int, **options: Any) -> None:
    page.locator(f"[data-segment='{segment}']").scroll_into_view_if_needed()
    page.mouse.move(0, 0)
    x, y = page.evaluate(PLACE_OF_WORD, [segment, index])
    modifiers = options.pop("modifiers", [])
    for key in modifiers:
        page.keyboard.down(key)
    page.mouse.click(x, y, **options)
    for key in modifiers:
        page.keyboard.up(key)


def current_time(page: Page) -> float:
    seconds: float = page.locator("transcript-player").evaluate("player => player.currentTime")
    return seconds


def is_paused(page: Page) -> bool:
    return bool(page.locator("transcript-player").evaluate("player => player.paused"))


def test_clicked_word_is_played_and_marked(sign_up: OpenPage, recognized: Recognized) -> None:
    page = sign_up("listener@example.com")
    segments = heard(page, recognized)
    page.locator(".player-media").evaluate(SLOW)
    word = segments[1]["words"][2]
    click_word(page, 2, 2)
    wait_until(lambda: page.evaluate(MARKED, "playing-word") == [word["text"]])
    assert word["start"] <= current_time(page) < word["end"] + 0.2
    assert not is_paused(page)
    expect(page.locator("[aria-current]")).to_have_attribute("data-segment", "2")
    page.click(".player-play")
    click_word(page, 1, 1)
    wait_until(lambda: page.evaluate(MARKED, "playing-word") == [segments[0]["words"][1]["text"]])
    assert not is_paused(page)


@pytest.mark.slow
def test_selecting_and_modifiers_do_not_play(sign_up: OpenPage, recognized: Recognized) -> None:
    page = sign_up("selecting@example.com")
    heard(page, recognized)
    click_word(page, 2, 1, modifiers=["Shift"])
    click_word(page, 2, 1, modifiers=["Alt"])
    page.evaluate("getSelection().empty()")
    x, y = page.evaluate(PLACE_OF_WORD, [2, 0])
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(*page.evaluate(PLACE_OF_WORD, [2, 3]), steps=3)
    page.mouse.up()
    assert page.evaluate("getSelection().toString()")
    page.evaluate("getSelection().empty()")
    open_menu(page)
    page.get_by_label("Play on click").uncheck()
    page.keyboard.press("Escape")
    click_word(page, 2, 1)
    assert (is_paused(page), current_time(page)) == (True, 0)
    page.reload()
    wait_for_times(page)
    click_word(page, 2, 1)
    assert is_paused(page)  # the choice is kept
    page.locator(".timestamp").last.click()
    wait_until(lambda: current_time(page) > 0)


# The page may still be scrolling by itself.
SCROLL_AWAY = """() => new Promise((done) => {
  addEventListener("scrollend", done, { once: true });
  scrollTo({ top: 0, behavior: "instant" });
})"""


def test_page_follows_until_the_reader_scrolls_away(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("follower@example.com", (390, 500))
    open_talk(page, stack, "12" * 20, audio=True)
    wait_for_times(page)
    player = page.locator("transcript-player")
    # Later, the time of the audio, 0, would count as a jump back.
    wait_until(lambda: player.evaluate("player => player.media.readyState") > 0)
    playing = page.locator("[aria-current]")
    hear = """(player, detail) =>
      player.dispatchEvent(new CustomEvent("player-time", { detail }))"""
    for second in range(12):
        player.evaluate(hear, second + 0.5)
    expect(playing).to_have_attribute("data-segment", "12")
    expect(playing).to_be_in_viewport(ratio=1)
    assert page.evaluate("scrollY") > 0
    page.evaluate(SCROLL_AWAY)
    expect(playing).not_to_be_in_viewport()
    for seconds in (12.5, 13.5):
        player.evaluate(hear, seconds)
    expect(playing).to_have_attribute("data-segment", "14")
    expect(playing).not_to_be_in_viewport()
    player.evaluate(hear, 30.5)  # a jump
    expect(playing).to_be_in_viewport(ratio=1)
    focus = "element => element.focus({ preventScroll: true })"
    page.locator("#segments").evaluate(focus)  # as after a click on a word
    for second in range(31, 40):
        player.evaluate(hear, second + 0.5)
    expect(playing).to_have_attribute("data-segment", "40")
    expect(playing).to_be_in_viewport(ratio=1)
    page.keyboard.type("A")
    player.evaluate(hear, 10.5)
    expect(playing).to_have_attribute("data-segment", "11")
    expect(playing).not_to_be_in_viewport()  # it does not move away from the caret


@pytest.mark.slow
def test_uncertain_words_are_underlined_and_reached_by_a_key(
    sign_up: OpenPage, stack: Stack
) -> None:
    page = sign_up("uncertain@example.com")
    open_talk(page, stack, "112")
    mark = MARK_UNCERTAIN.format(id=page.url.split("/")[-2])
    stack.shell(mark)
    page.reload()
    every = ["1.", "2.", "3."]
    wait_until(lambda: page.evaluate(MARKED, "low-confidence") == every)
    selected = "getSelection().toString()"
    for text in [*every, every[0]]:
        page.keyboard.press("Alt+u")
        assert page.evaluate(selected) == text
    open_menu(page)
    page.get_by_label("Underline uncertain words").uncheck()
    wait_until(lambda: page.evaluate(MARKED, "low-confidence") == [])
    page.reload()
    wait_for_times(page)
    assert page.evaluate(MARKED, "low-confidence") == []


# The first segment becomes a long one.
LENGTHEN = """
from transcriptions.models import Segment
Segment.objects.filter(transcription="{id}", number=1).update(text="{start}" * 12 + "{end}")
"""


def test_search_result_shows_the_words_that_are_found(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("narrow-search@example.com", (320, 640))
    open_talk(page, stack, "12")
    id = page.url.rstrip("/").split("/")[-1]
    passage = page.locator(".recording-passage")
    for before, end, query, found in (
        ("ここには昔、港がありました。", "今は灯台も閉まっています。", "灯台", "灯台"),
        (
            "This is said before others, ",
            "and then the lighthouse was closed.",
            "lighthouses",
            "lighthouse",
        ),
    ):
        stack.shell(LENGTHEN.format(id=id, start=before, end=end))
        page.goto(f"/?q={query}")
        expect(passage.locator("mark")).to_have_text(found)
        expect(passage).to_contain_text(end)
        assert passage.locator("found-passage").inner_text().startswith("… ")
        assert "Speaker 1" in passage.inner_text()
        mark_end, box_end = (
            locator.evaluate("element => element.getBoundingClientRect().bottom")
            for locator in (passage.locator("mark"), passage)
        )
        assert mark_end <= box_end  # it is not cut off
        expect(page.locator("#library")).to_be_in_viewport()  # above the upload box
    page.goto("/?q=speaker:this+others")
    expect(page.locator(".recording-passage")).to_have_count(0)
    page.goto("/?q=others")
    expect(passage.locator("found-passage")).not_to_contain_text("…")


def test_search_result_opens_at_the_passage(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("searcher@example.com", PHONE)
    open_talk(page, stack, "12" * 20)
    page.goto("/?q=sentences")
    page.get_by_role("link", name="Talk", exact=True).click()
    page.wait_for_url("**/?q=sentences")
    wait_until(lambda: "Sentence" in page.evaluate(MARKED, "found"))
    path = page.url.split("?")[0]
    page.goto(f"{path}?q=31")
    expect(page.locator("[data-segment='31']")).to_be_in_viewport(ratio=1)
    wait_until(lambda: page.evaluate(MARKED, "found") == ["31"])
    page.goto(f"{path}?t=24.5")
    expect(page.locator("[data-segment='25']")).to_be_in_viewport(ratio=1)


def test_bar_stays_and_shows_the_title(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("bar@example.com", (320, 640))
    open_talk(page, stack, "12" * 20)
    bar, title = page.locator("transcript-bar"), page.locator(".bar-title")
    expect(title).to_be_hidden()
    page.mouse.wheel(0, 2000)
    expect(title).to_be_visible()
    expect(title).to_have_text("Talk")
    expect(bar).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="Export", exact=True)).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="More", exact=True)).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    open_menu(page)
    expect(page.locator("#more-menu")).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete this recording?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#more-menu")).to_be_hidden()  # closed with its dialog
    expect(page.get_by_role("button", name="More", exact=True)).to_be_focused()


@pytest.mark.parametrize(
    "size", [(320, 480), pytest.param(DESKTOP, marks=pytest.mark.slow)], ids=["320px", "desktop"]
)
def test_focus_is_never_behind_a_bar(
    sign_up: OpenPage, stack: Stack, size: tuple[int, int]
) -> None:
    page = sign_up(f"focus-{size[0]}@example.com", size)
    open_talk(page, stack, "12" * 15, audio=True)
    page.locator(".turn-speaker").first.focus()
    for key in ["Tab"] * 20 + ["Shift+Tab"] * 20:
        page.keyboard.press(key)
        assert page.evaluate(IS_UNCOVERED)
    expect(page.locator(".turn-speaker").first).to_be_focused()  # times are no tab stops


@pytest.mark.slow
def test_live_paragraphs_are_those_of_the_server(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("live-paragraphs@example.com")
    start(page, media.speech("paragraphs.mp3", 12))
    wait_for_state(page, "completed")
    structure = """all => all.map((each) => each.outerHTML
      .replace(/ new-segment|\\n| aria-current="true"/g, ""))"""
    live = page.locator(".paragraph").evaluate_all(structure)
    page.reload()
    assert page.locator(".paragraph").evaluate_all(structure) == live


def test_script_divides_paragraphs_as_the_server_does(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/docs/")
    source, start = random.Random(1), 0.0
    rows: list[Segment] = []
    for number in range(1, 400):
        start += source.choice([0.1, 1.4, 1.5, 1.6])
        text = source.choice(TEXTS) * source.randint(1, 6)
        speaker, channel = source.choice([None, 1, 1, 1, 2]), source.choice([None, None, 0])
        end = start + 1
        rows.append(
            Segment(
                number=number, start=start, end=end, text=text, speaker=speaker, channel=channel
            )
        )
        start = end
    server = [
        ["".join(space + segment.text for space, segment in paragraph.segments), paragraph.start]
        for paragraph in paragraphs(rows, {number: Speaker(number=number) for number in (1, 2)})
    ]
    fields = ("start", "end", "text", "speaker", "channel")
    assert page.evaluate(DIVIDE, [{f: getattr(row, f) for f in fields} for row in rows]) == server


def test_replaced_segments_keep_caret_and_paragraphs(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("replaced@example.com")
    open_talk(page, stack, "1122")
    caret = """([segment, offset]) => getSelection().collapse(
      document.querySelector(`[data-segment="${segment}"]`).firstChild, offset)"""
    where = """() => [getSelection().focusNode.data, getSelection().focusOffset]"""

    def segment(number: int, text: str, speaker: int) -> dict[str, Any]:
        words = [{"start": number - 1, "end": number, "text": text}]
        times = {"start": number - 1.0, "end": float(number)}
        return {"id": number, "text": text, "speaker": speaker, "words": words, **times}

    def shown() -> list[tuple[str, str]]:
        found = page.locator(".paragraph").evaluate_all(PARAGRAPHS)
        return [(name, text) for name, _time, text in found]

    page.evaluate(caret, [2, 3])
    page.evaluate(CHANGE_TEXT, [1, 2, [segment(1, "Sentence 1. Sentence 2.", 1)]])
    assert page.evaluate(where) == ["Sentence 1. Sentence 2.", 15]
    assert shown() == [
        ("Speaker 1", "Sentence 1. Sentence 2."),
        ("Speaker 2", "Sentence 3. Sentence 4."),
    ]
    page.evaluate(CHANGE_TEXT, [1, 1, [segment(1, "Sentence 1.", 1), segment(2, "Two.", 2)]])
    assert page.evaluate(where) == ["Two.", 3]
    assert shown() == [("Speaker 1", "Sentence 1."), ("Speaker 2", "Two. Sentence 3. Sentence 4.")]
    page.evaluate(CHANGE_TEXT, [1, 1, []])
    assert shown() == [("Speaker 2", "Two. Sentence 3. Sentence 4.")]
    numbers = "all => all.map((each) => each.dataset.segment)"
    assert page.locator(".segment").evaluate_all(numbers) == ["1", "2", "3"]
    page.evaluate(CHANGE_TEXT, [4, 3, [segment(4, "New.", 1)]])
    assert shown()[1:] == [("Speaker 1", "New.")]
