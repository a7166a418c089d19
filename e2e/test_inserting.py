"""New segments, long texts, and keys that other fields and buttons need."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import OpenPage
from e2e.test_editing import assert_saved, caret, expect_status, shown, texts
from e2e.test_pages import stored
from e2e.test_speakers import open_talk
from transcodio_site.testing import Stack, wait_until

PASTE = """text => {
  const dataTransfer = new DataTransfer();
  dataTransfer.setData("text/plain", text);
  const event = { inputType: "insertFromPaste", bubbles: true, cancelable: true, dataTransfer };
  document.activeElement.dispatchEvent(new InputEvent("beforeinput", event));
}"""


def test_enter_between_paragraphs_inserts_a_segment(page: Page) -> None:
    first, *rest = texts(page)
    caret(page, 2, 0)
    page.keyboard.press("Enter")  # now there are two paragraphs
    caret(page, 1, -1)
    page.keyboard.press("Enter")
    tools = page.get_by_role("group", name="Selected text")
    expect(tools).to_be_hidden()  # although the text of the new segment is selected
    page.keyboard.type("Inserted.")
    assert_saved(page, first, "Inserted.", *rest)
    before, inserted, after = stored(page)["segments"][:3]
    assert before["end"] <= inserted["start"] <= inserted["end"] <= after["start"]
    page.keyboard.press("Control+a")
    expect(tools).to_be_visible()
    page.keyboard.press("Delete")
    expect(tools).to_be_hidden()
    expect_status(page, "Saved")
    page.reload()
    page.get_by_role("button", name="Add text").click()
    page.keyboard.type("All is new.")
    assert_saved(page, "All is new.")
    expect(page.get_by_role("button", name="Add text")).to_be_hidden()


@pytest.mark.slow
def test_long_text_and_many_segments_are_replaced(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("large-edit@example.com")
    open_talk(page, stack, "12" * 60)
    all_texts = texts(page)
    assert len(all_texts) > 100
    caret(page, 1, 0)
    long = " ".join(f"Word {number}." for number in range(1500))
    assert len(long) > 12_000
    page.evaluate(PASTE, long + " ")
    expect_status(page, "Saved")
    content = page.locator(".segment")  # `shown` has no text that the browser does not render
    wait_until(lambda: content.all_text_contents() == texts(page))
    assert " ".join(texts(page)) == " ".join([long, *all_texts])
    assert max(map(len, texts(page))) <= 5000
    page.keyboard.press("Control+a")
    page.keyboard.type("Everything is gone.")
    assert_saved(page, "Everything is gone.")
    assert len(texts(page)) == 1


@pytest.mark.slow
def test_undo_in_the_title_changes_no_text(page: Page) -> None:
    first, second, *_ = texts(page)
    for number, text in ((1, first), (2, second)):
        caret(page, number, 0)
        page.keyboard.type("Well, ")
        wait_until(lambda text=text: f"Well, {text}" in texts(page))  # type: ignore[misc]
    page.locator("h1").click()
    page.keyboard.press("Control+z")
    page.locator("#segments").focus()
    with page.expect_response("**/edits/undo"):
        page.keyboard.press("Control+z")
    assert texts(page)[:2] == [f"Well, {first}", second]


def test_space_after_a_click_on_a_time_pauses(page: Page) -> None:
    page.locator(".timestamp").first.click()
    media = page.locator("transcript-player :is(audio, video)")
    wait_until(lambda: media.evaluate("media => !media.paused"))
    page.keyboard.press("Space")
    assert media.evaluate("media => media.paused")
    assert shown(page) == texts(page)


SELECT = """([first, from, last, to]) => {
  const node = (number) => document.querySelector(`.segment[data-segment="${number}"]`).firstChild;
  document.querySelector("#segments").focus();
  getSelection().setBaseAndExtent(node(first), from, node(last), to);
}"""


@pytest.mark.slow
def test_input_method_replaces_a_selection_over_segments(page: Page) -> None:
    first, second, *rest = texts(page)
    page.evaluate(SELECT, [1, 3, 2, len(second) - 4])
    session = page.context.new_cdp_session(page)
    session.send("Input.imeSetComposition", {"text": "に", "selectionStart": 1, "selectionEnd": 1})
    session.send("Input.insertText", {"text": "日本"})
    assert_saved(page, f"{first[:3]}日本{second[-4:]}", *rest)
    page.reload()
    expect(page.locator("#segments[contenteditable]")).to_be_visible()
    assert shown(page) == texts(page)
