"""Edits that cannot be saved as they are: someone else was faster, or the server refuses them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from e2e.test_editing import assert_saved, caret, expect_status, save_again, shown, texts
from transcodio_site.testing import wait_until

EDIT_ELSEWHERE = """async ([id, changes]) => {
  const token = document.cookie.match(/csrftoken=([^;]+)/)[1];
  const response = await fetch(`/api/transcriptions/${id}/edits`, {
    method: "POST", body: JSON.stringify({ changes }),
    headers: { "Content-Type": "application/json", "X-CSRFToken": token },
  });
  return response.status;
}"""


IS_BELOW = """() => {
  const [metadata, status] = [".metadata #language", "transcript-editor [role=status]"]
    .map((selector) => document.querySelector(selector).getBoundingClientRect());
  return status.top >= metadata.bottom;
}"""


def edit_elsewhere(page: Page, first: int, last: int, *new: str) -> None:
    """An edit that the page does not know of."""
    change: Any = {"from": first, "to": last, "segments": [{"text": text} for text in new]}
    assert page.evaluate(EDIT_ELSEWHERE, [page.url.split("/")[-2], [change]]) == 200


def conflict_in(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Someone else edited this")


def test_edit_follows_its_segment_that_someone_else_has_moved(page: Page) -> None:
    first, second, *rest = texts(page)
    edit_elsewhere(page, 1, 0, "Before.", second)  # the same text, at the number of the second
    held = list[Route]()
    page.route("**/edits", lambda route: held.append(route), times=1)  # the others wait for it
    caret(page, 2, 0)
    page.keyboard.type("Mine. ")
    caret(page, 1, -1)
    page.keyboard.type(" Mine, too.")
    wait_until(lambda: page.title() and held)
    held[0].continue_()
    expected = ["Before.", second, f"{first} Mine, too.", f"Mine. {second}", *rest]
    wait_until(lambda: texts(page) == expected)
    wait_until(lambda: shown(page) == expected)
    expect(conflict_in(page)).to_be_hidden()
    edit_elsewhere(page, 1, 2)
    caret(page, 4, -1)
    page.keyboard.press("Enter")  # inserts or divides, but not above
    wait_until(lambda: shown(page) == texts(page))
    assert texts(page)[:2] == expected[2:4]


def test_conflict_is_left_open_by_escape(page: Page) -> None:
    first, second, *rest = texts(page)
    edit_elsewhere(page, 1, 2, f"Theirs. {first}", "New.", second)
    page.route("**/edits", lambda route: route.abort("connectionrefused"))
    caret(page, 1, 0)
    page.keyboard.type("Mine. ")
    caret(page, 2, 0)
    page.keyboard.type("And mine. ")
    expect_status(page, "Not saved: The server cannot be reached.")
    page.unroute("**/edits")
    save_again(page)
    expect(conflict_in(page).locator("[data-theirs]")).to_have_text(f"Theirs. {first}\nNew.")
    page.keyboard.press("Escape")
    expect_status(page, "Not saved: Someone else")
    assert shown(page)[:2] == [f"Mine. {first}", f"And mine. {second}"]
    save_again(page)
    conflict_in(page).get_by_role("button", name="Use theirs").click()
    # The other edit is saved all the same.
    expected = [f"Theirs. {first}", "New.", f"And mine. {second}", *rest]
    wait_until(lambda: texts(page) == expected)
    wait_until(lambda: shown(page) == expected)


@pytest.mark.slow
def test_edit_of_a_deleted_segment_shows_that_it_is_gone(page: Page) -> None:
    all_texts = texts(page)
    count = len(all_texts)
    edit_elsewhere(page, count, count)
    caret(page, count, -1)
    page.keyboard.type(" Mine.")
    caret(page, 1, 0)
    expect(conflict_in(page).locator("[data-mine]")).to_have_text(f"{all_texts[-1]} Mine.")
    expect(conflict_in(page).locator("[data-theirs]")).to_have_text("")
    conflict_in(page).get_by_role("button", name="Keep mine").click()
    wait_until(lambda: texts(page) == [*all_texts[:-1], f"{all_texts[-1]} Mine."])
    assert_saved(page)


@pytest.mark.slow
def test_edit_whose_response_was_lost_is_made_once(page: Page) -> None:
    all_texts = texts(page)

    def lose(route: Route) -> None:
        route.fetch()
        route.abort("connectionrefused")

    page.route("**/edits", lose, times=1)
    caret(page, len(all_texts), -1)
    page.keyboard.press("Enter")  # inserts a segment
    expect_status(page, "Not saved: The server cannot be reached.")
    page.get_by_role("button", name="Save again").click()
    wait_until(lambda: shown(page) == texts(page))
    assert_saved(page, *all_texts, "…")
    assert len(texts(page)) == len(all_texts) + 1


def is_stored(page: Page, beginning: str) -> bool:
    return texts(page)[0].startswith(beginning)


@pytest.mark.slow
def test_undo_whose_response_was_lost_undoes_one_change(page: Page) -> None:
    first, *rest = texts(page)

    def lose(route: Route) -> None:
        route.fetch()
        route.abort("connectionrefused")

    for added in ("One. ", "Two. "):
        caret(page, 1, 0)
        page.keyboard.type(added)
        caret(page, 2, 0)  # saved as a change of its own
        wait_until(partial(is_stored, page, added))
    page.route("**/edits/undo", lose, times=1)
    page.keyboard.press("Control+z")
    expect_status(page, "Not saved: The server cannot be reached.")
    page.get_by_role("button", name="Save again").click()
    expect_status(page, "Saved")
    wait_until(lambda: shown(page) == [f"One. {first}", *rest])
    assert texts(page) == shown(page)


@pytest.mark.slow
def test_refused_edit_can_be_discarded(page: Page) -> None:
    all_texts = texts(page)
    answer = {"code": "invalid_field", "detail": "No."}
    page.route("**/edits", lambda route: route.fulfill(status=422, json=answer))
    caret(page, 1, 0)
    page.keyboard.type("Mine. ")
    expect_status(page, "Not saved: No.")
    assert page.evaluate(IS_BELOW)  # and not in front of it
    page.unroute("**/edits")
    caret(page, 2, 0)
    page.keyboard.type("This is kept. ")
    page.route("**/edits", lambda route: route.fulfill(status=422, json=answer), times=1)
    save_again(page)
    expect_status(page, "Not saved: No.")
    page.get_by_role("button", name="Discard this change").click()
    expected = [all_texts[0], f"This is kept. {all_texts[1]}", *all_texts[2:]]
    wait_until(lambda: texts(page) == expected)
    wait_until(lambda: shown(page) == expected)


@pytest.mark.slow
def test_typing_goes_on_after_an_undo_that_could_not_be_sent(page: Page) -> None:
    first = texts(page)[0]
    caret(page, 1, 0)
    page.keyboard.type("Well, ")
    assert_saved(page, f"Well, {first}")
    page.route("**/edits/undo", lambda route: route.abort("connectionrefused"))
    page.keyboard.press("Control+z")
    expect_status(page, "Not saved: The server cannot be reached.")
    page.keyboard.type("then, ")
    assert_saved(page, f"Well, then, {first}")
