"""Finding and replacing text in a transcript."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.conftest import OpenPage
from e2e.recognized import Recognized
from e2e.test_editing import assert_saved, caret, expect_status, shown, texts
from e2e.test_pages import open_menu
from e2e.test_speakers import open_talk
from transcodio_site.testing import Stack, wait_until

# The text at which a mark is drawn.
MARKED = """name => [...(CSS.highlights.get(name) ?? [])].map((range) => range.toString())"""
# Counts the events of changes, for which many parts of the page look at all of it.
COUNT_CHANGES = """() => {
  window.changes = 0;
  document.addEventListener("text-changed", () => { window.changes += 1; }, true);
}"""
# The texts of segments in one paragraph after all matches have been replaced.
REPLACED = """async ([texts, sought, replacement, isPattern]) => {
  const { changesOf, matchesIn, patternOf, replaced } = await import("/static/js/find-matches.js");
  const paragraph = texts.map((textContent, index) =>
    ({ id: index + 1, element: { textContent }, speaker: 1, paragraph: index ? null : true }));
  const { pattern } = patternOf(sought, { isPattern });
  const found = matchesIn(paragraph, pattern, (match) => replaced(match, replacement, isPattern));
  return changesOf(found).map(({ from, to, segments }) =>
    [from, to, ...segments.map(({ text, paragraph }) => (paragraph ? `¶${text}` : text))]);
}"""


@pytest.fixture
def page(sign_up: OpenPage, recognized: Recognized, request: pytest.FixtureRequest) -> Page:
    """The page of a complete transcript of two or more segments."""
    name = request.node.name.replace("_", "-")[:40].strip("-")
    opened = sign_up(f"{name}@example.com")
    recognized(opened)
    expect(opened.locator("#segments[contenteditable]")).to_be_visible()
    return opened


def open_panel(page: Page, sought: str = "") -> Locator:
    """Opens the panel, and searches."""
    page.keyboard.press("Control+f")
    panel = page.locator("find-replace")
    panel.get_by_label("Find", exact=True).fill(sought)
    return panel


def test_text_is_found_and_replaced(page: Page) -> None:
    original = texts(page)
    panel = page.locator("find-replace")
    caret(page, 1, 0)
    page.keyboard.press("Control+f")
    find = panel.get_by_label("Find", exact=True)
    expect(find).to_be_focused()
    page.keyboard.type("the ")
    status = panel.locator("[role=status]")
    count = sum(text.lower().count("the ") for text in original)
    assert count
    expect(status).to_have_text(f"Found: {count}")
    page.keyboard.press("Enter")
    expect(status).to_have_text(f"1 of {count}")
    panel.get_by_label("Replace with").fill("THE ")
    panel.get_by_text("Preview").click()
    expect(panel.locator("li ins")).to_have_count(count)
    page.evaluate(COUNT_CHANGES)
    panel.get_by_role("button", name="Replace all").click()
    expect(status).to_have_text(f"Replaced: {count}")
    expect_status(page, "Saved")
    assert page.evaluate("window.changes") == 2  # when it was replaced, and with the answer
    assert sum(text.count("THE ") for text in texts(page)) == count
    assert shown(page) == texts(page)
    panel.get_by_label("Match case").check()
    expect(status).to_have_text("Not found")
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()
    page.keyboard.press("Control+z")  # all of them were one edit
    wait_until(lambda: texts(page) == original)


def expect_texts(page: Page, expected: list[str]) -> None:
    """Wait until these texts are stored and shown."""
    wait_until(lambda: texts(page) == expected)
    wait_until(lambda: shown(page) == expected)


def test_text_over_two_segments_is_found_and_replaced(page: Page) -> None:
    original = texts(page)
    last, first = original[0].split()[-1], original[1].split()[0]
    begin, rest = original[0].removesuffix(last), original[1].removeprefix(first).strip()
    panel = open_panel(page, f"{last} {first}")
    status = panel.locator("[role=status]")
    expect(status).to_have_text("Found: 1")
    wait_until(lambda: page.evaluate(MARKED, "match") == [last, first])
    panel.get_by_label("Replace with").fill("quay, and")
    panel.get_by_text("Preview").click()
    expect(panel.locator("li del")).to_have_text(f"{last} {first}")
    panel.get_by_role("button", name="Replace all").click()
    expect(status).to_have_text("Replaced: 1")
    assert_saved(page, f"{begin}quay, and", rest, *original[2:])
    panel.get_by_label("Find", exact=True).fill(f"quay, and {rest}")
    panel.get_by_label("Replace with").fill("")
    expect(status).to_have_text("Found: 1")
    panel.get_by_role("button", name="Replace all").click()
    assert_saved(page, begin.strip(), *original[2:])  # the second segment is empty: deleted
    panel.get_by_role("button", name="Close").click()
    for expected in ([f"{begin}quay, and", rest, *original[2:]], original):
        page.keyboard.press("Control+z")
        expect_texts(page, expected)


@pytest.mark.slow
def test_matches_over_segments_become_changes(page: Page) -> None:
    cases = (
        (["One two.", "Three."], "two. three", "x", False, [[1, 2, "¶One x", "."]]),
        (["One", "two", "three four"], "one two three", "x", False, [[1, 3, "¶x", "four"]]),
        (["One", "two", "three"], "one two", "", False, [[1, 2]]),
        (["One", "two", "three"], "e t", "", False, [[1, 2, "¶On", "wo"]]),
        (["a b", "a b", "a c"], "b a", "x", False, [[1, 3, "¶a x", "x", "c"]]),
        (["a b", "c a b", "b"], "a", "x", False, [[1, 1, "¶x b"], [2, 2, "c x b"]]),
        (["One", "two"], " two", ", too", False, [[1, 2, "¶One, too"]]),
        (["One", "two"], " two", " too", False, [[1, 2, "¶One", "too"]]),
        (["One two", "three"], r"\s", "-", True, [[1, 1, "¶One-two"]]),
        (["One", "two"], r"^(\w+) (\w+)$", "$2 $1", True, [[1, 2, "¶two One"]]),
        (["你好", "世界"], "好世", "x", False, [[1, 2, "¶你x", "界"]]),
    )
    for texts_before, sought, replacement, is_pattern, expected in cases:
        done = page.evaluate(REPLACED, [texts_before, sought, replacement, is_pattern])
        assert done == expected, (texts_before, sought)


def test_whole_words_and_typed_text(page: Page) -> None:
    first = texts(page)[0]
    panel = open_panel(page, "moor")
    status = panel.locator("[role=status]")
    expect(status).to_have_text("Not found")
    caret(page, 1, 0)
    page.keyboard.type("A moor, moored, Moor. ")
    expect(status).to_have_text("Found: 3")  # without another search
    wait_until(lambda: page.evaluate(MARKED, "match") == ["moor", "moor", "Moor"])
    panel.get_by_label("Whole words").check()
    expect(status).to_have_text("Found: 2")
    panel.get_by_label("Replace with").fill("fen")
    panel.get_by_role("button", name="Replace all").click()
    assert_saved(page, f"A fen, moored, fen. {first}")


@pytest.mark.slow
def test_regular_expression_uses_groups(page: Page) -> None:
    first = texts(page)[0]
    a, b = first.split()[:2]
    open_menu(page)
    page.get_by_role("button", name="Find and replace").click()
    panel = page.locator("find-replace")
    panel.get_by_label("Regular expression").check()
    find = panel.get_by_label("Find", exact=True)
    find.fill("(")
    expect(panel.locator("[role=status]")).to_contain_text(
        "This is not a valid regular expression."
    )
    find.fill(rf"^({a}) (\w+)")
    panel.get_by_label("Replace with").fill("$2 $1 $$1")
    expect(panel.locator("[role=status]")).to_have_text("Found: 1")
    panel.get_by_role("button", name="Replace", exact=True).click()  # first goes to the match
    panel.get_by_role("button", name="Replace", exact=True).click()
    word = b.rstrip(".,")
    assert_saved(page, f"{word} {a} $1{first.removeprefix(f'{a} {word}')}")


@pytest.mark.slow
def test_marks_are_drawn_near_the_viewport_only(sign_up: OpenPage, stack: Stack) -> None:
    """Also after changes everywhere: ranges that are not seen make each further change slow."""
    page = sign_up("marks@example.com")
    open_talk(page, stack, "12" * 200)
    panel = open_panel(page, "Sentence")
    status = panel.locator("[role=status]")
    expect(status).to_have_text("Found: 400")
    wait_until(lambda: 0 < len(page.evaluate(MARKED, "match")) < 200)
    panel.get_by_label("Replace with").fill("Phrase")
    panel.get_by_role("button", name="Replace all").click()
    expect(status).to_have_text("Replaced: 400")
    panel.get_by_label("Find", exact=True).fill("Phrase")
    expect(status).to_have_text("Found: 400")
    wait_until(lambda: "Phrase" in page.evaluate(MARKED, "match"))
    assert len(page.evaluate(MARKED, "match")) < 200
