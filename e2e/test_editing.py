"""Editing the title and the text in place, without losing any input."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from e2e.conftest import PASSWORD, OpenContext
from e2e.test_pages import open_menu, stored
from transcodio_site.testing import wait_until

PLACE_CARET = """([number, offset, length]) => {
  const text = document.querySelector(`.segment[data-segment="${number}"]`).firstChild;
  const start = offset < 0 ? text.length + 1 + offset : offset;
  document.querySelector("#segments").focus();
  getSelection().setBaseAndExtent(text, start, text, start + length);
}"""


def caret(page: Page, number: int, offset: int, length: int = 0) -> None:
    """Puts the caret into a segment, or selects characters; -1 is its end."""
    page.evaluate(PLACE_CARET, [number, offset, length])


def texts(page: Page) -> list[str]:
    """The texts of all segments as they are stored."""
    return [segment["text"] for segment in stored(page)["segments"]]


def shown(page: Page) -> list[str]:
    """The texts of all segments as they are shown."""
    return page.locator(".segment").all_inner_texts()


def expect_status(page: Page, text: str) -> None:
    expect(page.locator("transcript-editor [role=status]")).to_contain_text(text)


def assert_saved(page: Page, *expected: str) -> None:
    """Assert that the shown texts are stored, and begin with these."""
    expect_status(page, "Saved")
    assert shown(page) == texts(page)
    assert tuple(texts(page)[: len(expected)]) == expected
    numbers = [segment["id"] for segment in stored(page)["segments"]]
    assert numbers == list(range(1, len(numbers) + 1))


def test_text_is_typed_anywhere_and_saved(page: Page) -> None:
    first, second = texts(page)[:2]
    caret(page, 1, -1)
    page.keyboard.type(" And so on.")
    assert shown(page)[0] == f"{first} And so on."
    assert_saved(page, f"{first} And so on.", second)
    caret(page, 2, 0, 4)
    page.keyboard.type("Indeed,")  # replaces the selection
    caret(page, 1, 0)
    assert_saved(page, f"{first} And so on.", f"Indeed,{second[4:]}")
    words = stored(page)["segments"][1]["words"]
    assert words[0]["text"] == "Indeed,"
    page.reload()
    assert_saved_after_reload(page)


def assert_saved_after_reload(page: Page) -> None:
    expect(page.locator("#segments[contenteditable]")).to_be_visible()
    assert shown(page) == texts(page)


def test_enter_divides_and_backspace_joins(page: Page) -> None:
    first, second = texts(page)[:2]
    word = first.split()[0]
    caret(page, 1, len(word))
    page.keyboard.press("Enter")
    rest = first.removeprefix(word).strip()
    assert_saved(page, word, rest, second)
    paragraphs = page.locator("#segments .paragraph")
    expect(paragraphs.nth(0)).to_contain_text(word)
    expect(paragraphs.nth(1)).to_contain_text(rest)
    count = paragraphs.count()
    page.keyboard.press("Backspace")  # the caret is at the start of the new paragraph
    expect(paragraphs).to_have_count(count - 1)
    page.keyboard.press("Backspace")  # of the two segments in one paragraph
    assert_saved(page, f"{word}{rest}", second)
    page.keyboard.type(" ")
    assert_saved(page, first, second)
    assert stored(page)["segments"][0]["words"][1]["text"] == first.split()[1]


@pytest.mark.slow
def test_selection_over_segments_is_replaced(page: Page) -> None:
    first, second = texts(page)[:2]
    rest = texts(page)[2:]
    caret(page, 1, 3)
    page.evaluate(
        """() => {
          const { anchorNode, anchorOffset } = getSelection();
          const text = document.querySelector(".segment[data-segment='2']").firstChild;
          getSelection().setBaseAndExtent(anchorNode, anchorOffset, text, text.length - 4);
        }"""
    )
    page.keyboard.press("Delete")
    assert_saved(page, first[:3] + second[-4:], *rest)
    page.keyboard.press("Control+z")
    wait_until(lambda: texts(page) == [first, second, *rest])
    wait_until(lambda: shown(page) == texts(page))


@pytest.mark.slow
def test_segment_is_deleted_with_its_last_letter(page: Page) -> None:
    all_texts = texts(page)
    caret(page, 2, 0, len(all_texts[1]))
    page.keyboard.press("Backspace")
    assert_saved(page, all_texts[0], *all_texts[2:])
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    expect_status(page, "Saved")
    assert texts(page) == []
    page.get_by_role("button", name="Undo").click()
    wait_until(lambda: texts(page) == [all_texts[0], *all_texts[2:]])


def test_every_change_can_be_undone_and_made_again(page: Page) -> None:
    original = texts(page)
    caret(page, 1, -1)
    page.keyboard.type(" One.")
    expect_status(page, "Saved")
    caret(page, 2, 0)
    page.keyboard.type("Two. ")
    caret(page, 1, 2)
    page.keyboard.press("Enter")
    expect_status(page, "Saved")
    changed = texts(page)
    for _ in range(3):
        page.keyboard.press("Control+z")
    wait_until(lambda: texts(page) == original)
    wait_until(lambda: shown(page) == original)
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    page.reload()  # undo also works after a reload
    for _ in range(3):
        page.get_by_role("button", name="Redo").click()
    wait_until(lambda: texts(page) == changed)
    wait_until(lambda: shown(page) == changed)
    expect(page.get_by_role("button", name="Redo")).to_be_disabled()


@pytest.mark.slow
def test_pasted_lines_become_one(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    first = texts(page)[0]
    page.evaluate("() => navigator.clipboard.writeText('pasted\\n  from <b>elsewhere</b> ')")
    caret(page, 1, 0)
    page.keyboard.press("Control+v")
    assert_saved(page, f"pasted from <b>elsewhere</b> {first}")
    page.evaluate("() => navigator.clipboard.writeText('大家好\\n今天')")
    page.keyboard.press("Control+v")
    assert_saved(page, f"pasted from <b>elsewhere</b> 大家好今天{first}")


@pytest.mark.slow
def test_composed_text_is_saved(page: Page) -> None:
    first = texts(page)[0]
    caret(page, 1, 0)
    session = page.context.new_cdp_session(page)
    session.send("Input.imeSetComposition", {"text": "に", "selectionStart": 1, "selectionEnd": 1})
    session.send("Input.insertText", {"text": "日本"})
    assert_saved(page, f"日本{first}")


@pytest.mark.slow
def test_title_is_edited_in_place(page: Page) -> None:
    page.fill("h1", "By  the harbor")
    page.press("h1", "Enter")
    expect(page).to_have_title("By the harbor · Transcodio")
    page.fill("h1", "Discarded")
    page.press("h1", "Escape")
    expect(page.locator("h1")).to_have_text("By the harbor")
    page.fill("h1", " ")
    page.press("h1", "Enter")
    expect(page.locator("h1")).to_have_text("By the harbor")
    page.reload()
    expect(page.locator("h1")).to_have_text("By the harbor")


@pytest.mark.slow
def test_title_changed_again_during_a_save_is_no_conflict(page: Page) -> None:
    answers: list[Route] = []
    page.route("**/api/transcriptions/*", lambda route: answers.append(route), times=1)
    for title in ("First", "Second"):
        page.fill("h1", title)
        page.press("h1", "Enter")
    wait_until(lambda: bool(page.title()) and bool(answers))  # the first one is being saved
    answers[0].continue_()
    expect(page).to_have_title("Second · Transcodio")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect_status(page, "Saved")


def test_title_changed_by_someone_else_is_not_overwritten(page: Page) -> None:
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#segments[contenteditable]")).to_be_visible()
    rounds = (("Theirs", "Use theirs", "Theirs"), ("Again", "Keep mine", "Mine"))
    for theirs, choice, kept in rounds:
        other.fill("h1", theirs)
        other.press("h1", "Enter")
        expect(other).to_have_title(f"{theirs} · Transcodio")
        page.fill("h1", "Mine")
        page.press("h1", "Enter")
        dialog = page.get_by_role("dialog", name="Someone else edited this")
        expect(dialog.locator("[data-theirs]")).to_have_text(theirs)
        expect(dialog.locator("[data-mine]")).to_have_text("Mine")
        dialog.get_by_role("button", name=choice).click()
        expect(page).to_have_title(f"{kept} · Transcodio")
        expect(page.locator("h1")).to_have_text(kept)
        expect_status(page, "Saved")
    other.reload()
    expect(other.locator("h1")).to_have_text("Mine")


def save_again(page: Page) -> None:
    """Click "Save again", unless what was typed after a pause is being saved already."""
    button = page.locator("[data-retry]")
    button.evaluate(
        "button => button.hidden || document.querySelector('dialog[open]') || button.click()"
    )


def test_failed_save_keeps_text(page: Page) -> None:
    first = texts(page)[0]
    page.route("**/edits", lambda route: route.abort("connectionrefused"))
    caret(page, 1, 0)
    page.keyboard.type("Well, ")
    expect_status(page, "Not saved: The server cannot be reached.")
    caret(page, 2, 0)
    page.keyboard.press("Enter")  # waits behind it
    assert shown(page)[0] == f"Well, {first}"
    assert texts(page)[0] == first
    page.unroute("**/edits")
    save_again(page)
    assert_saved(page, f"Well, {first}")


@pytest.mark.slow
def test_text_typed_during_save_is_saved(page: Page) -> None:
    first = texts(page)[0]
    held: list[Route] = []
    page.route("**/edits", lambda route: held.append(route))
    caret(page, 1, 0)
    with page.expect_request("**/edits"):
        page.keyboard.type("Well, ")
    page.keyboard.type("then, ")
    held[0].continue_()
    page.unroute("**/edits")
    assert_saved(page, f"Well, then, {first}")


def test_conflict_shows_both_texts(page: Page) -> None:
    first, second = texts(page)[:2]
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#segments[contenteditable]")).to_be_visible()
    for number, text in ((1, "Theirs. "), (2, "Theirs, too. ")):
        caret(other, number, 0)
        other.keyboard.type(text)
        caret(other, 3 - number, 0)
        assert_saved(other)
    caret(page, 1, 0)
    page.keyboard.type("Mine. ")
    dialog = page.get_by_role("dialog", name="Someone else edited this")
    expect(dialog.locator("[data-theirs]")).to_have_text(f"Theirs. {first}")
    expect(dialog.locator("[data-mine]")).to_have_text(f"Mine. {first}")
    dialog.get_by_role("button", name="Keep mine").click()
    wait_until(lambda: texts(page)[:2] == [f"Mine. {first}", f"Theirs, too. {second}"])
    wait_until(lambda: shown(page) == texts(page))  # of the other passage, too
    caret(other, 1, 0)
    other.keyboard.type("Again. ")
    dialog = other.get_by_role("dialog", name="Someone else edited this")
    dialog.get_by_role("button", name="Use theirs").click()
    wait_until(lambda: shown(other) == texts(page))


@pytest.mark.slow
def test_edit_survives_expired_session(page: Page) -> None:
    first = texts(page)[0]
    email = str(page.locator(".account-link span").inner_text())
    page.context.clear_cookies()
    caret(page, 1, 0)
    page.keyboard.type("Well, ")
    expect_status(page, "Not saved: You are signed out.")
    other = page.context.new_page()
    other.goto("/accounts/login/")
    other.fill("[name=login]", email)
    other.fill("[name=password]", PASSWORD)
    other.click("main button[type=submit]")
    other.wait_for_selector("upload-box")
    save_again(page)
    assert_saved(page, f"Well, {first}")


@pytest.mark.slow
def test_leaving_with_unsaved_edit_asks_for_confirmation(page: Page) -> None:
    dialogs: list[str] = []

    def leave(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    caret(page, 1, 0)
    page.reload()
    assert dialogs == []
    page.route("**/edits", lambda route: route.abort("connectionrefused"))
    page.locator(".segment").first.click()
    page.keyboard.type("Typed, and not saved. ")
    page.reload()
    assert dialogs == ["beforeunload"]


@pytest.mark.slow
def test_phone_asks_before_it_edits(page: Page, open_context: OpenContext) -> None:
    """Where a tap on a word plays it, no keyboard appears before the user chooses to edit."""
    phone: Any = {"viewport": {"width": 390, "height": 700}, "has_touch": True, "is_mobile": True}
    state = page.context.storage_state()
    url, page = page.url, open_context(storage_state=state, **phone).new_page()
    page.goto(url)
    root = page.locator("#segments")
    expect(root).not_to_have_attribute("contenteditable", "true")
    edit = page.get_by_role("button", name="Edit", exact=True)
    edit.tap()
    expect(root).to_have_attribute("contenteditable", "true")
    first = texts(page)[0]
    caret(page, 1, 0)
    page.keyboard.type("Well, ")
    edit.tap()
    expect(root).not_to_have_attribute("contenteditable", "true")
    assert_saved(page, f"Well, {first}")


def test_versions_are_compared_and_restored(page: Page) -> None:
    original = texts(page)
    caret(page, 1, 0)
    page.keyboard.type("Now, ")
    assert_saved(page, f"Now, {original[0]}")
    open_menu(page)
    page.get_by_role("button", name="Versions", exact=True).click()
    dialog = page.get_by_role("dialog", name="Versions")
    dialog.get_by_label("Original transcript").or_(dialog.get_by_role("radio").last).last.check()
    expect(dialog.locator("[data-details] del")).to_have_text("Now,")
    dialog.get_by_role("button", name="Restore this version").click()
    wait_until(lambda: texts(page) == original)
    wait_until(lambda: shown(page) == original)
    page.get_by_role("button", name="Undo").click()
    wait_until(lambda: texts(page)[0] == f"Now, {original[0]}")
