"""Highlights, comments, bookmarks, and passages that are copied."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.conftest import OpenPage
from e2e.test_editing import caret, expect_status
from e2e.test_pages import open_menu
from transcodio_site.testing import Stack, wait_until

# For each digit, the number of a speaker, a segment of four seconds and four words.
CREATE = """
from accounts.models import User
from transcodio_site.sample import SAMPLE
from transcriptions.models import AudioAnalysis, Segment, Speaker, State, Transcription
from django.core.files import File
from django.utils import timezone
speakers = "{speakers}"
row = Transcription.objects.create(
    owner=User.objects.get(email="{email}"), title="Harbor talk", source_bytes=1, language="en",
    state=State.COMPLETED, completed_at=timezone.now(), duration=4.0 * len(speakers),
)
for number, speaker in enumerate(map(int, speakers), 1):
    texts = ["The", f"boat{{number}}", "came", "home."]
    start = 4.0 * (number - 1)
    words = [
        dict(start=start + n, end=start + n + 0.9, text=text, speaker=speaker or None)
        for n, text in enumerate(texts)
    ]
    Segment.objects.create(
        transcription=row, number=number, start=start, end=start + 3.9, text=" ".join(texts),
        words=words, speaker=speaker or None,
    )
row.source.save("talk.mp3", File(SAMPLE.open("rb")))
AudioAnalysis.objects.create(transcription=row, peaks=[50] * 100)
for number, name in ((1, "Anna"), (2, "")):
    if str(number) in speakers:
        Speaker.objects.create(transcription=row, number=number, name=name)
print(row.id)
"""
# The texts that are marked, by the name of the mark.
MARKED = """() => Object.fromEntries([...CSS.highlights].map(([name, ranges]) =>
  [name.replace("annotation-", ""), [...ranges].map(String)]))"""
CLIPBOARD = """async (type) => {
  try {
    const [item] = await navigator.clipboard.read();
    return await (await item.getType(type)).text();
  } catch {
    return ""; // it changes at the moment
  }
}"""


def open_talk(page: Page, stack: Stack, email: str, speakers: str = "1122") -> None:
    created = stack.shell(CREATE.format(email=email, speakers=speakers)).strip()
    with page.expect_response("**/words"), page.expect_response("**/annotations"):
        page.goto(f"/transcriptions/{created}/")
    expect(page.locator("#segments[contenteditable]")).to_be_visible()


@pytest.fixture
def page(sign_up: OpenPage, stack: Stack, request: pytest.FixtureRequest) -> Page:
    """The page of a talk of 16 seconds: two segments of Anna's, and two of Speaker 2."""
    email = f"{request.node.name.replace('_', '-')[:40].strip('-')}@example.com"
    opened = sign_up(email)
    open_talk(opened, stack, email)
    return opened


def bar(page: Page) -> Locator:
    return page.get_by_role("group", name="Selected text")


def panel(page: Page) -> Locator:
    return page.get_by_role("region", name="Notes")


def rows(page: Page) -> Locator:
    return panel(page).get_by_role("listitem")


def stored(page: Page) -> list[dict[str, Any]]:
    path = page.url.split("/transcriptions/")[1].strip("/")
    found: list[dict[str, Any]] = page.request.get(f"/api/transcriptions/{path}/annotations").json()
    return found


ADD = """async (fields) => {
  const { id } = document.querySelector("live-transcript").dataset;
  const url = `/api/transcriptions/${id}/annotations`;
  const token = document.cookie.match(/csrftoken=([^;]+)/)[1];
  const headers = {"Content-Type": "application/json", "X-CSRFToken": token};
  return (await fetch(url, {method: "POST", headers, body: JSON.stringify(fields)})).status;
}"""


def add(page: Page, **fields: Any) -> None:
    assert page.evaluate(ADD, fields) == 201


def wait_for_notes(page: Page, count: int) -> None:
    wait_until(lambda: len(stored(page)) == count)


def marked(page: Page, name: str) -> list[str]:
    found: list[str] = page.evaluate(MARKED).get(name) or []
    return found


def has_selection(page: Page, text: str) -> bool:
    return bool(page.evaluate("String(getSelection())") == text)


IN_CHINESE = """
from transcriptions.models import Segment
Segment.objects.filter(transcription="{id}").update(text="他们回家了", words=[])
"""


@pytest.mark.slow
def test_quote_of_chinese_segments_has_no_spaces(page: Page, stack: Stack) -> None:
    stack.shell(IN_CHINESE.format(id=page.url.strip("/").split("/")[-1]))
    with page.expect_response("**/words"), page.expect_response("**/annotations"):
        page.reload()
    expect(page.locator("#segments[contenteditable]")).to_be_visible()
    page.locator("#segments").press("Control+a")
    bar(page).get_by_role("button", name="Highlight in green").click()
    wait_for_notes(page, 1)
    assert stored(page)[0]["quote"] == "他们回家了" * 4


@pytest.mark.slow
def test_highlight_survives_an_edit_before_it_and_a_reload(page: Page) -> None:
    caret(page, 2, len("The "), len("boat2 came"))
    expect(bar(page)).to_be_in_viewport()
    bar(page).get_by_role("button", name="Highlight in green").click()
    wait_until(lambda: marked(page, "green") == ["boat2 came"])
    expect(bar(page)).to_be_hidden()
    expect(page.locator("#segments")).to_be_focused()
    caret(page, 2, 0)
    page.keyboard.type("Yes, ")
    assert marked(page, "green") == ["boat2 came"]  # while the user types
    caret(page, 1, len("The boat1"))
    page.keyboard.press("Enter")
    expect_status(page, "Saved")
    wait_until(lambda: marked(page, "green") == ["boat2 came"])
    with page.expect_response("**/words"), page.expect_response("**/annotations"):
        page.reload()
    assert page.locator(".segment").all_inner_texts()[2] == "Yes, The boat2 came home."
    wait_until(lambda: marked(page, "green") == ["boat2 came"])
    (highlight,) = stored(page)
    assert (highlight["start"], highlight["end"], highlight["quote"]) == (5.0, 6.9, "boat2 came")


@pytest.mark.slow
def test_editing_goes_on_while_the_bar_is_shown(page: Page) -> None:
    caret(page, 1, len("The "), len("boat1"))
    expect(bar(page)).to_be_visible()
    expect(page.locator("#segments")).to_be_focused()
    page.keyboard.type("ship")
    expect(bar(page)).to_be_hidden()
    assert page.locator(".segment").first.inner_text() == "The ship came home."


@pytest.mark.slow
def test_bar_is_reached_with_the_keyboard_and_keeps_the_selection(page: Page) -> None:
    caret(page, 1, 0, 3)
    expect(bar(page)).to_be_visible()
    page.keyboard.press("Alt+s")
    expect(bar(page).get_by_role("button", name="Highlight in yellow")).to_be_focused()
    page.keyboard.press("Tab")
    assert has_selection(page, "The")
    page.keyboard.press("Escape")
    expect(page.locator("#segments")).to_be_focused()
    assert has_selection(page, "The")
    page.keyboard.press("Alt+h")
    wait_until(lambda: marked(page, "yellow") == ["The"])


def test_comment_is_added_edited_deleted_and_restored(page: Page) -> None:
    caret(page, 2, len("The "), len("boat2"))
    bar(page).get_by_role("button", name="Comment").click()
    field = panel(page).get_by_role("textbox", name="Comment")
    expect(field).to_be_focused()
    wait_until(lambda: marked(page, "draft") == ["boat2"])
    field.press("Control+Enter")  # a comment needs a text
    expect(field).to_be_focused()
    page.keyboard.type("Which <b>boat</b>?")
    field.press("Escape")  # does not discard the text
    expect(field).to_have_value("Which <b>boat</b>?")
    field.press("Control+Enter")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).locator(".note-body")).to_have_text("Which <b>boat</b>?")
    expect(rows(page)).to_contain_text("0:05 Comment")
    expect(page.locator("#segments")).to_be_focused()
    wait_until(lambda: marked(page, "comment") == ["boat2"])
    assert not marked(page, "draft")

    rows(page).get_by_role("button", name="Edit").click()
    field.fill("The old one.")
    panel(page).get_by_role("button", name="Save").click()
    expect(rows(page).locator(".note-body")).to_have_text("The old one.")
    expect(rows(page).get_by_role("button", name="Edit")).to_be_focused()
    assert [note["body"] for note in stored(page)] == ["The old one."]

    rows(page).get_by_role("button", name="Delete").click()
    expect(rows(page)).to_have_count(0)
    assert stored(page) == []
    expect(panel(page).get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    assert [note["body"] for note in stored(page)] == ["The old one."]


@pytest.mark.slow
def test_mark_in_the_margin_leads_to_the_comment(page: Page) -> None:
    for number in (1, 2):
        caret(page, number, 0, 3)
        page.keyboard.press("Alt+m")
        page.keyboard.type(f"Comment {number}")
        page.keyboard.press("Control+Enter")
        expect(rows(page)).to_have_count(number)
    page.keyboard.press("Alt+o")
    expect(panel(page)).to_be_hidden()
    mark = page.locator("#segments").get_by_role("button", name="2 comments")
    expect(mark).to_have_count(1)
    mark.click()
    expect(rows(page).first.get_by_role("button").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    caret(page, 1, -1)
    page.keyboard.press("Enter")  # inserts a paragraph
    page.keyboard.type("New.")
    expect_status(page, "Saved")
    expect(page.locator("#segments").get_by_role("button", name="Comment")).to_have_count(2)


@pytest.mark.slow
def test_bookmark_is_set_while_playing_and_while_typing(page: Page) -> None:
    caret(page, 3, len("The "))
    page.keyboard.press("Alt+b")
    expect(page.locator("#notes-status")).to_have_text("Bookmark added at 0:09")
    expect(page.get_by_role("button", name="Bookmark", exact=True)).to_have_count(1)
    page.evaluate(
        """() => {
          const player = document.querySelector("transcript-player");
          player.seek(1.5);
          player.play();
        }"""
    )
    page.wait_for_function("!document.querySelector('transcript-player').paused")
    page.keyboard.press("Alt+b")
    wait_for_notes(page, 2)
    page.evaluate("document.querySelector('transcript-player').pause?.()")
    playing, typing = stored(page)
    assert playing["start"] < typing["start"] == 9.0
    assert typing["quote"] == "The boat3 came home."


@pytest.mark.slow
def test_notes_are_filtered_and_lead_to_their_passage(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("notes-filter@example.com", (1280, 500))
    open_talk(page, stack, "notes-filter@example.com", "12" * 20)
    for count, number in enumerate((1, 40), 1):
        caret(page, number, 0, 3)
        page.keyboard.press("Alt+h")
        wait_for_notes(page, count)
    page.keyboard.press("Alt+b")
    wait_for_notes(page, 3)
    open_menu(page)
    page.get_by_role("button", name="Notes", exact=True).click()
    expect(rows(page)).to_have_count(3)
    panel(page).get_by_label("Show").select_option("Highlights")
    expect(rows(page)).to_have_count(2)
    page.locator("[data-segment='40']").scroll_into_view_if_needed()
    expect(page.locator("[data-segment='1']")).not_to_be_in_viewport()
    rows(page).first.get_by_role("button").first.click()
    expect(page.locator("[data-segment='1']")).to_be_in_viewport()
    assert page.evaluate("document.querySelector('transcript-player').paused")
    panel(page).get_by_label("Show").select_option("Comments")
    expect(panel(page)).to_contain_text("Select text to highlight")


@pytest.mark.slow
def test_passage_is_copied_with_time_and_speaker(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    caret(page, 1, len("The "))
    page.evaluate(
        """() => {
          const { anchorNode, anchorOffset } = getSelection();
          const text = document.querySelector("[data-segment='3']").firstChild;
          getSelection().setBaseAndExtent(anchorNode, anchorOffset, text, "The boat3".length);
        }"""
    )
    bar(page).get_by_role("button", name="Copy with time").click()
    expect(page.locator("#notes-status")).to_have_text("Copied to the clipboard")
    assert page.evaluate(CLIPBOARD, "text/plain") == (
        "Anna (0:00:01): boat1 came home. The boat2 came home.\n\nSpeaker 2 (0:00:08): The boat3"
    )
    assert "<strong>Anna</strong> (0:00:01): boat1 came" in page.evaluate(CLIPBOARD, "text/html")
    expect(bar(page)).to_be_visible()  # the text is still selected
    caret(page, 4, 2)
    page.keyboard.press("Alt+c")  # without a selection: the segment with the caret
    wait_until(
        lambda: (
            page.evaluate(CLIPBOARD, "text/plain") == "Speaker 2 (0:00:12): The boat4 came home."
        )
    )
    page.keyboard.press("Alt+b")
    wait_for_notes(page, 1)
    page.keyboard.press("Alt+o")
    panel(page).get_by_role("button", name="Copy all").click()
    wait_until(
        lambda: (
            page.evaluate(CLIPBOARD, "text/plain")
            == "- **0:00:12 Bookmark**  \n  Speaker 2: “The boat4 came home.”\n"
        )
    )


@pytest.mark.slow
def test_passage_is_copied_where_the_clipboard_is_refused(page: Page) -> None:
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    caret(page, 1, 0, 3)
    page.keyboard.press("Alt+c")
    expect(page.locator("#notes-status")).to_have_text("Copied to the clipboard")
    caret(page, 4, -1)
    page.keyboard.press("Control+v")
    expect(page.locator("[data-segment='4']")).to_contain_text("home.Anna (0:00:00): The")


@pytest.mark.slow
def test_bar_works_without_speakers(sign_up: OpenPage, stack: Stack) -> None:
    page = sign_up("no-speakers@example.com", (320, 640))
    open_talk(page, stack, "no-speakers@example.com", "00")
    caret(page, 1, 0, 3)
    expect(bar(page)).to_be_in_viewport()
    expect(bar(page).get_by_role("combobox")).to_be_hidden()
    bar(page).get_by_role("button", name="Comment").click()
    expect(panel(page)).to_be_in_viewport()
    page.keyboard.type("Good.")
    page.keyboard.press("Control+Enter")
    expect(panel(page)).to_be_hidden()  # here it covers the text
    expect(page.locator("#segments").get_by_role("button", name="Comment")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
@pytest.mark.covers("fault", "The server cannot be reached when a comment is saved")
def test_comment_that_is_not_stored_is_kept(page: Page) -> None:
    page.route("**/annotations", lambda route: route.abort("connectionrefused"))
    caret(page, 1, 0, 3)
    page.keyboard.press("Alt+m")
    page.keyboard.type("Important")
    page.keyboard.press("Control+Enter")
    expect(panel(page).get_by_role("alert")).to_have_text("The server cannot be reached.")
    page.unroute("**/annotations")
    page.keyboard.press("Control+Enter")
    expect(rows(page).locator(".note-body")).to_have_text("Important")
    expect(panel(page).get_by_role("alert")).to_be_hidden()


@pytest.mark.slow
def test_notes_are_ticks_above_the_waveform(page: Page) -> None:
    for start in (1.0, 4.0, 4.3):
        add(page, kind="bookmark", start=start)
    add(page, kind="comment", start=12.0, end=13.0, quote="The boat4", body="Which one?")
    page.reload()
    ticks = page.get_by_role("group", name="Notes", exact=True).get_by_role("button")
    expect(ticks).to_have_count(3)  # two of them are too close together
    comment = ticks.and_(page.get_by_title("0:12 Comment: Which one?"))
    comment.click()
    expect(page.locator(".player-time")).to_contain_text("0:12 / 0:16")
    comment.press("ArrowLeft")
    expect(ticks.nth(1)).to_be_focused()
    expect(ticks.nth(1)).to_have_accessible_name("0:04 Bookmark, 0:04 Bookmark")
    page.keyboard.press("Enter")
    expect(page.locator(".player-time")).to_contain_text("0:04 / 0:16")
    page.get_by_role("button", name="Zoom in").click()
    expect(ticks).to_have_count(4)  # there is room now
