"""Parts of a transcript that are assigned to a speaker, and words spoken by several people at
once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from e2e.conftest import DESKTOP, PHONE, OpenPage
from e2e.test_pages import start, stored, wait_for_state
from e2e.test_speakers import name_of, open_speakers, open_talk, speaker_list, turns
from transcodio_site.testing import Media, Stack


def select(page: Page, first: int, last: int) -> None:
    """Drag the mouse from the second word of a segment to that of another one."""
    boxes = page.evaluate(
        """numbers => numbers.map((number) => {
             const text = document.querySelector(`.segment[data-segment='${number}']`);
             const range = document.createRange();
             range.setStart(text.firstChild, "Sentence ".length);
             range.setEnd(text.firstChild, text.textContent.length);
             const { left, right, top, height } = range.getBoundingClientRect();
             return { left, right, middle: top + height / 2 };
           })""",
        [first, last],
    )
    page.mouse.move(boxes[0]["left"] + 1, boxes[0]["middle"])
    page.mouse.down()
    page.mouse.move(boxes[1]["right"] - 1, boxes[1]["middle"], steps=4)
    page.mouse.up()


def word_speakers(page: Page) -> list[list[int]]:
    return [[word["speaker"] for word in each["words"]] for each in stored(page)["segments"]]


@pytest.mark.parametrize("size", [DESKTOP, pytest.param(PHONE, marks=pytest.mark.slow)])
def test_selected_text_is_given_to_a_new_speaker(
    sign_up: OpenPage, stack: Stack, size: tuple[int, int]
) -> None:
    page = sign_up(f"selection-{size[0]}@example.com", size)
    open_talk(page, stack, "11112")
    form = page.locator("[data-selection]")
    expect(form).to_be_hidden()
    select(page, 1, 3)
    field = page.get_by_label("The selected text is spoken by")
    expect(field).to_be_in_viewport()
    assert field.locator("option").all_text_contents() == [
        "Speaker 1",
        "Speaker 2",
        "A new speaker",
    ]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    field.select_option("A new speaker")
    form.get_by_role("button", name="Change").click()
    expect(speaker_list(page)).to_have_count(3)
    expect(form).to_be_hidden()
    expect(name_of(page, 1)).to_be_focused()
    assert word_speakers(page) == [[1, 3], [3, 3], [3, 3], [1, 1], [2, 2]]
    assert turns(page) == ["Speaker 1 1", "Speaker 3 2 3", "Speaker 1 4", "Speaker 2 5"]
    shown = turns(page)
    page.reload()
    assert turns(page) == shown


@pytest.mark.slow
def test_selected_words_are_given_to_a_speaker_with_a_key(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("selected-words@example.com")
    open_talk(page, stack, "1122")
    select(page, 2, 2)
    expect(page.locator("[data-selection]")).to_be_visible()
    with page.expect_response("**/speakers/assign"):
        page.keyboard.press("Alt+2")
    expect(page.locator("[data-selection]")).to_be_hidden()
    assert word_speakers(page) == [[1, 1], [1, 2], [2, 2], [2, 2]]
    page.route("**/speakers/assign", lambda route: route.abort("connectionrefused"))
    select(page, 3, 4)
    page.keyboard.press("Alt+1")
    status = page.locator("transcript-speakers > [role=status]")
    expect(status).to_have_text("The server cannot be reached.")
    expect(page.locator("[data-selection]")).to_be_visible()
    page.locator("h1").click()
    expect(page.locator("[data-selection]")).to_be_hidden()


@pytest.mark.slow
def test_selected_words_are_not_taken_for_their_segment_while_they_load(
    sign_up: OpenPage, stack: Stack
) -> None:
    page = sign_up("early-selection@example.com")
    held: list[Route] = []
    page.route("**/words", lambda route: held.append(route))
    open_talk(page, stack, "1122")
    select(page, 2, 2)
    expect(page.locator("[data-selection]")).to_be_visible()
    page.keyboard.press("Alt+h")
    page.keyboard.press("Alt+2")
    expect(page.locator("[data-selection]")).to_be_visible()
    assert word_speakers(page) == [[1, 1], [1, 1], [2, 2], [2, 2]]
    with page.expect_response("**/annotations") as highlight:
        with page.expect_response("**/speakers/assign"):
            held[0].continue_()
    assert [highlight.value.json()[name] for name in ("start", "end")] == [1.5, 2.0]
    assert word_speakers(page) == [[1, 1], [1, 2], [2, 2], [2, 2]]


@pytest.mark.slow
def test_all_that_a_speaker_says_from_here_on_is_given_to_another_one(
    sign_up: OpenPage, stack: Stack
) -> None:
    page = sign_up("from-here@example.com")
    open_talk(page, stack, "12121")
    name_of(page, 3).focus()
    page.keyboard.press("Enter")
    page.get_by_label("Assign everything they say from here on to").select_option("A new speaker")
    page.locator("[data-later] button").click()
    expect(speaker_list(page)).to_have_count(3)
    assert turns(page) == [
        *("Speaker 1 1", "Speaker 2 2", "Speaker 3 3", "Speaker 2 4", "Speaker 3 5"),
    ]
    expect(name_of(page, 3)).to_be_focused()
    assert [each["speaker"] for each in stored(page)["segments"]] == [1, 2, 3, 2, 3]


@pytest.mark.slow
def test_speaker_is_filtered_with_the_keyboard(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("filter-keys@example.com")
    open_talk(page, stack, "121")
    open_speakers(page).first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".segment:visible")).to_have_count(1)
    expect(speaker_list(page).nth(1)).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator(".segment:visible")).to_have_count(3)


@pytest.mark.slow
def test_words_of_several_people_are_marked_live(sign_up: OpenPage, media: Media) -> None:
    page = sign_up("overlap@example.com")

    def speak(socket: WebSocketRoute) -> None:
        """The server's events: someone else speaks in the second segment, and then in the first
        one, too."""

        def forward(message: str | bytes) -> None:
            event: dict[str, Any] = json.loads(message)
            if event["type"] == "progress" and event["id"] == 2:
                event["segment"]["words"][0]["overlap"] = True
            socket.send(json.dumps(event))
            if event["type"] == "progress" and event["id"] == 2:
                segments = [{"id": 1, "speaker": 1, "words": [1], "overlap": [1]}]
                event = {"type": "speakers", "id": 2, "speakers": [], "segments": segments}
                socket.send(json.dumps(event))

        socket.connect_to_server().on_message(forward)

    page.route_web_socket("**/ws/**", speak)
    start(page, media.speech("overlap.mp3", 12))
    wait_for_state(page, "completed")
    marks = page.get_by_role("img", name="Overlapping speech")
    expect(marks).to_have_count(2)
    for number in (1, 2):
        paragraph = page.locator(f".paragraph:has([data-segment='{number}'])")
        expect(paragraph.locator(".overlap-mark")).to_be_visible()
