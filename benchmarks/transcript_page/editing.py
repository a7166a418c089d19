"""Typing, dividing paragraphs, undo, and find and replace."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from typing import Any

from playwright.sync_api import Page

CHARACTERS, DIVIDED = 40, 10
FREQUENT = 2000  # matches in 40,000 words
SAVE_TIMEOUT_MS = 120_000

# From each key to the frame that shows its character.
ECHO = """() => {
  window.echoes = [];
  const shown = (pressed) => window.echoes.push(performance.now() - pressed);
  document.addEventListener("keydown", ({ timeStamp }) => {
    requestAnimationFrame(() => setTimeout(shown, 0, timeStamp));
  }, true);
}"""
# From the next event of this type to the frame that shows the first change of the text after it.
NEXT_CHANGE = """(type) => {
  const page = document.querySelector("live-transcript");
  window.changeShown = new Promise((resolve) => {
    document.addEventListener(type, ({ timeStamp }) => {
      page.addEventListener("text-changed", () => {
        requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - timeStamp)));
      }, { once: true });
    }, { capture: true, once: true });
  });
}"""
# From the input of a search to the frame that shows the number of matches.
SEARCH = """(sought) => new Promise((resolve) => {
  const panel = document.querySelector("find-replace");
  const status = panel.querySelector("[role=status]");
  const start = performance.now();
  new MutationObserver((records, observer) => {
    observer.disconnect();
    const shown = () => resolve([performance.now() - start, status.textContent]);
    requestAnimationFrame(() => setTimeout(shown));
  }).observe(status, { childList: true });
  const field = panel.querySelector("[name=find]");
  field.value = sought;
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
})"""


def typed(page: Page) -> dict[str, Any]:
    """The time until a typed character is shown."""
    page.evaluate("scrollTo(0, 0)")
    page.evaluate(ECHO)
    segment = page.locator(".segment").nth(5)
    segment.click()
    for _ in range(CHARACTERS):
        page.keyboard.press("x")
        page.wait_for_timeout(60)
    echoes = sorted(page.evaluate("window.echoes"))
    text = segment.text_content() or ""
    if not re.search("x{20}", text):
        raise RuntimeError("nothing was typed")
    wait_until_saved(page)
    return {
        "echo_ms": round(statistics.median(echoes), 1),
        "echo_p95_ms": round(echoes[int(0.95 * len(echoes))], 1),
    }


def divided(page: Page) -> dict[str, Any]:
    """Enter in the middle of a segment, and undo, which waits for the server."""
    times: dict[str, list[float]] = {"divide_ms": [], "undo_ms": []}
    for index in range(20, 20 + DIVIDED):
        page.locator(".segment").nth(index).click()
        count = page.locator(".segment").count()
        times["divide_ms"].append(_changed(page, "Enter"))
        wait_until_saved(page)
        _check(page.locator(".segment").count() == count + 1, "nothing was divided")
        times["undo_ms"].append(_changed(page, "Control+z"))
        wait_until_saved(page)
        _check(page.locator(".segment").count() == count, "nothing was undone")
    return {name: round(statistics.median(values), 1) for name, values in times.items()}


def found(page: Page) -> dict[str, Any]:
    """The panel, whose search begins 150 ms after the last key: a word that is nowhere, and letters
    that are as frequent as "the" in English. Then all of these are replaced in one change, which
    is undone."""
    page.keyboard.press("Control+f")
    texts = " ".join(page.locator(".segment").all_text_contents())
    counts = Counter(texts[at : at + 2] for at in range(len(texts)))
    word = min(filter(str.isalpha, counts), key=lambda pair: abs(counts[pair] - FREQUENT))
    nowhere, _ = page.evaluate(SEARCH, "wordthatisnowhere")
    find, status = page.evaluate(SEARCH, word)
    page.fill("find-replace [name=replacement]", "replacement")
    page.evaluate(SEARCH, word)
    button = page.locator("find-replace [data-do=replaceAll]")
    page.evaluate(NEXT_CHANGE, "click")
    button.click()
    shown = page.evaluate("window.changeShown")
    wait_until_saved(page)
    page.keyboard.press("Escape")
    undone = _changed(page, "Control+z")
    wait_until_saved(page)
    return {
        "matches": int(re.sub(r"\D", "", status)),
        "find_nowhere_ms": round(nowhere),
        "find_ms": round(find),
        "replace_all_ms": round(shown),
        "undo_all_ms": round(undone),
    }


def wait_until_saved(page: Page) -> None:
    """Wait until the server has all changes."""
    selector = "transcript-editor [role=status][data-state=saved]"
    page.wait_for_selector(selector, state="attached", timeout=SAVE_TIMEOUT_MS)


def _changed(page: Page, key: str) -> float:
    page.evaluate(NEXT_CHANGE, "keydown")
    page.keyboard.press(key)
    shown: float = page.evaluate("window.changeShown")
    return shown


def _check(is_right: bool, problem: str) -> None:
    if not is_right:
        raise RuntimeError(problem)
